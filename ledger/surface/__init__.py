"""The surface: what requests say and answers hold, one definition for service and client."""

// SPDX-License-Identifier: Apache-2.0
// Generated from ledger/statements/vocabulary.py by scripts/build_contracts.py. Do not edit.
pragma solidity 0.8.37;

library Choice {
    uint8 internal constant APPROVE = 1;
    uint8 internal constant REJECT = 2;
}

library Custody {
    uint8 internal constant OWN = 0;
    uint8 internal constant CUSTODIAL = 1;
}

library Decision {
    uint8 internal constant ADMIT = 1;
    uint8 internal constant SUSPEND = 2;
    uint8 internal constant REINSTATE = 3;
    uint8 internal constant RETIRE = 4;
    uint8 internal constant APPOINT_GOVERNOR = 5;
    uint8 internal constant DISMISS_GOVERNOR = 6;
    uint8 internal constant SET_THRESHOLD = 7;
    uint8 internal constant RECOVER_CONTROL_KEY = 8;
    uint8 internal constant REVOKE_KEY = 9;
}

library HistoryKind {
    uint8 internal constant ADMITTED = 1;
    uint8 internal constant SUSPENDED = 2;
    uint8 internal constant REINSTATED = 3;
    uint8 internal constant RETIRED = 4;
    uint8 internal constant CONTROL_KEY_SET = 5;
    uint8 internal constant KEY_ADDED = 6;
    uint8 internal constant KEY_REVOKED = 7;
    uint8 internal constant PROFILE_UPDATED = 8;
    uint8 internal constant GOVERNOR_APPOINTED = 9;
    uint8 internal constant GOVERNOR_DISMISSED = 10;
    uint8 internal constant THRESHOLD_SET = 11;
}

library Resource {
    uint8 internal constant DATA = 1;
    uint8 internal constant EQUIPMENT = 2;
    uint8 internal constant PEOPLE = 3;
    uint8 internal constant TECHNOLOGY = 4;
    uint8 internal constant CAPACITY = 5;
    uint8 internal constant MARKET_INFORMATION = 6;
}

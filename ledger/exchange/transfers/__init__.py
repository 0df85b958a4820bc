"""Delivery from gateway to gateway: signed requests, sealed chunks under a live grant, receipt, then the key."""

from ledger.exchange.transfers.callers import Caller, Callers
from ledger.exchange.transfers.forms import TransferReceiptForm
from ledger.exchange.transfers.room import SealedDownload, Transfers

__all__ = ["Caller", "Callers", "SealedDownload", "TransferReceiptForm", "Transfers"]

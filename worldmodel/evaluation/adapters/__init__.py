"""How envs of Gymnasium are planned in: the protocol, and the adapters that ship."""

from worldmodel.evaluation.adapters.adapter import Adapter

__all__ = ["Adapter"]

"""The exception tree.

::

    TronieError
    ├── InputError            what the caller gave is wrong; nothing was spent, nothing was written
    │   ├── SchemaError           the schema contradicts itself or lacks a fact
    │   ├── SchemaMismatch        the table does not fit the schema
    │   ├── SourceError           the table cannot be read
    │   ├── BudgetError           epsilon, delta or a share makes no sense
    │   ├── DomainTooLarge        a marginal, model or sampler table would not fit in memory
    │   ├── ConditionError        sampling was conditioned on something impossible
    │   └── BundleError           a model file or certificate is corrupt, too new, or not ours
    ├── BudgetExceeded        the ledger's cap or a release's plan would be overdrawn
    ├── TooInexact            a first, paid look shows that the answer would be too noisy to be of use
    ├── OutputError           a result could not be written; nothing was left half-written
    └── Cancelled             the user stopped the run

Each error says what is wrong, where (column, file, shape), and what to do next. No message holds a value
or a count that came from a private table.
"""


class TronieError(Exception):
    """Base of every error that tronie raises on purpose.

    Args:
        what: What is wrong and where, in one sentence.
        remedy: What to do next, in one sentence.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}\n  {self.remedy}" if self.remedy else self.what


class InputError(TronieError):
    """What the caller gave is wrong; nothing was spent, nothing was written."""


class SchemaError(InputError):
    """The schema contradicts itself or lacks a fact."""


class SchemaMismatch(InputError):
    """The table does not fit the schema."""


class SourceError(InputError):
    """The table cannot be read."""


class BudgetError(InputError):
    """Epsilon, delta or a share makes no sense."""


class DomainTooLarge(InputError):
    """A marginal, model or sampler table would not fit in memory."""


class ConditionError(InputError):
    """Sampling was conditioned on something impossible."""


class BundleError(InputError):
    """A model file or certificate is corrupt, too new, or not ours."""


class BudgetExceeded(TronieError):
    """The ledger's cap or a release's plan would be overdrawn."""


class TooInexact(TronieError):
    """A first, paid look shows that the answer would be too noisy to be of use; no more was spent."""


class OutputError(TronieError):
    """A result could not be written; nothing was left half-written."""


class Cancelled(TronieError):
    """The user stopped the run."""

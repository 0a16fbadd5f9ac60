"""The exception tree. Every error that a user can cause or mend is one of these.

    AsnnDeployError            exit code 2 unless a subclass says otherwise
    ├── InputError             a file, folder, array or option that cannot be used
    │   ├── ConfigError        a configuration key or value
    │   ├── DataError          a data set
    │   └── BundleError        a run folder, bundle or exported file
    ├── GraphError             a DeployGraph that breaks a rule of its own
    │   ├── LoweringError      a torch module that has no deployable counterpart
    │   └── UnsupportedError   a graph that this exporter, target or format cannot carry
    ├── TrainingError          exit code 3: a training diverged
    ├── MissingDependency      exit code 3: something needed is not installed
    └── TargetError            exit code 3: a runtime failed, hung or was killed

Messages are one line: what and where, the value found, what is allowed, and the remedy.
"""


class AsnnDeployError(Exception):
    """Base of all errors that are shown to the user as one line."""

    exit_code = 2


class InputError(AsnnDeployError):
    """A file, folder, array or option that cannot be used."""


class ConfigError(InputError):
    """A configuration key that does not exist or a value outside what is allowed."""


class DataError(InputError):
    """A data set that is absent, damaged, or of the wrong kind."""


class BundleError(InputError):
    """A run folder, bundle or exported file that is missing, damaged or foreign."""


class GraphError(AsnnDeployError):
    """A DeployGraph that breaks one of its own rules."""


class LoweringError(GraphError):
    """A torch module that has no deployable counterpart; names the module's path and type."""


class UnsupportedError(GraphError):
    """A graph that a format or target cannot carry; names the layer."""


class TrainingError(AsnnDeployError):
    """A training diverged; names the layer that went first."""

    exit_code = 3


class MissingDependency(AsnnDeployError):
    """Something needed is not installed; names the remedy."""

    exit_code = 3


class TargetError(AsnnDeployError):
    """A runtime failed, hung or was killed."""

    exit_code = 3


class DeployNote(UserWarning):
    """What a user should know of a result, in one line. The command line prints it on stderr."""

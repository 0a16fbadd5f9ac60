"""Finding parts: ours by their files, others' by entry point, without a list to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from functools import cached_property, partial
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from types import MappingProxyType, new_class
from typing import Any, TypeVar

from asnn_deploy.errors import InputError, MissingDependency
from asnn_deploy.util.suggest import unknown_name

T = TypeVar("T")
B = TypeVar("B")


class Parts(MutableMapping[str, T]):
    """Parts of one kind by name, sorted by it; each is loaded when it is first asked for.

    what: what one of them is called, such as "neuron model". group: the entry-point group in which others register
    theirs. package, path, attribute: ours are the objects called `attribute` of a package's modules, by their `name`;
    own: ours that are not modules, but stand in `package`. base: the class of all parts; others need not inherit (see
    `adopted`). A part can also be put in by hand: `MODELS["mine"] = MyNeuron()`.
    """

    def __init__(
        self,
        what: str,
        group: str,
        package: str = "",
        path: Iterable[str] = (),
        attribute: str = "",
        own: Mapping[str, T] = MappingProxyType({}),
        *,
        base: type[T],
    ) -> None:
        self.what, self.group, self.base, self._own = what, group, base, own
        self._ours = package, path, attribute
        self._loaded: dict[str, T] = {}
        self._hidden: set[str] = set()

    @cached_property
    def _known(self) -> dict[str, list[tuple[str, Callable[[], Any]]]]:
        """Name to where a part comes from, and what loads it; several if several claim the name."""
        package, path, attribute = self._ours
        known: dict[str, list[tuple[str, Callable[[], Any]]]] = {
            name: [(package, partial(_same, part))] for name, part in self._own.items()
        }
        for info in iter_modules(list(path)):
            part = getattr(import_module(f"{package}.{info.name}"), attribute, None)
            if part is not None:
                known.setdefault(part.name, []).append((f"{package}.{info.name}", partial(_same, part)))
        for point in entry_points(group=self.group):
            if (point.value, point.load) not in known.get(point.name, ()):
                known.setdefault(point.name, []).append((point.value, point.load))
        return known

    def find(self, name: str) -> T:
        """Return the part of that name.

        Raises InputError if there is none, if two claim the name, if it has another or is something else, and
        MissingDependency if it cannot be loaded.
        """
        if name in self._loaded:
            return self._adopted(name, self._loaded[name])
        if name not in self:
            raise InputError(unknown_name(self.what, name, self))
        places = sorted(dict(self._known[name]).items())
        if len(places) > 1:
            raise InputError(
                f"{self.what} {name!r} is defined twice, by {' and by '.join(value for value, _ in places)}; "
                "uninstall one of them"
            )
        try:
            part = places[0][1]()
        except Exception as error:  # whatever a stranger's module raises
            reason = " ".join(str(error).split()) or type(error).__name__
            raise MissingDependency(f"{self.what} {name!r} cannot be loaded from {places[0][0]}: {reason}") from error
        part = self._adopted(name, part)
        own = _own_name(part, self.base, name)
        if own != name:
            raise InputError(
                f"{self.what} {name!r} of {places[0][0]} calls itself {own!r}; register it by the entry point {own}"
            )
        return self._loaded.setdefault(name, part)

    def _adopted(self, name: str, part: Any) -> T:
        try:
            return adopted(part, self.base)
        except TypeError:
            raise InputError(
                f"{self.what} {name!r} is a {type(part).__name__}; it must be an instance of a class that inherits "
                f"from {self.base.__module__}.{self.base.__name__}"
            ) from None

    def problem(self, name: str) -> str | None:
        """Return why a part cannot be loaded, in one line; None if it can."""
        try:
            self.find(name)
        except (InputError, MissingDependency) as error:
            return str(error)
        return None

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise KeyError(name)
        return self.find(name)

    def __setitem__(self, name: str, part: T) -> None:
        self._loaded[name] = part
        self._hidden.discard(name)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._loaded.pop(name, None)
        if name in self._known:
            self._hidden.add(name)

    def __contains__(self, name: object) -> bool:
        return name not in self._hidden and (name in self._loaded or name in self._known)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(name for name in {**self._known, **self._loaded} if name not in self._hidden))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def adopted(part: Any, base: type[B]) -> B:
    """Return an object as one of `base`: others' classes need not inherit, and get its defaults for what they lack."""
    if not isinstance(part, base):
        kind = type(part)
        grown = new_class(kind.__name__, (kind, base))
        object.__setattr__(part, "__class__", grown)
    return part  # type: ignore[no-any-return]


def _own_name(part: Any, base: type[Any], default: str) -> Any:
    """What a part calls itself; the default if it does not say, or if parts of its kind have no name."""
    named = any("name" in vars(kind).get("__annotations__", ()) for kind in base.__mro__)
    try:
        return part.name if named else default
    except AttributeError:
        return default


def _same(part: Any) -> Any:
    return part

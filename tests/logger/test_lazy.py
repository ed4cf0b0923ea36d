"""Loggers' names are there without their libraries, which are asked for only when a logger is made."""

import subprocess
import sys
import textwrap

import pytest

import tune_core.logger


def run_python(code):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, capture_output=True, text=True)


def test_all_names_are_there():
    for name in tune_core.logger.__all__:
        assert getattr(tune_core.logger, name).__name__ == name
        assert name in dir(tune_core.logger)
    with pytest.raises(AttributeError):
        tune_core.logger.NothingLoggerCallback  # noqa: B018


def test_importing_the_package_loads_no_logger():
    code = """
        import sys
        import tune_core.logger
        loaded = {"tensorboardX", "mlflow", "numpy", "tune_core.logger.csv", "tune_core.callback"} & set(sys.modules)
        sys.exit(str(loaded) if loaded else 0)
    """
    result = run_python(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("logger", "module", "extra"),
    [("TBXLoggerCallback", "tensorboardX", "tensorboard"), ("MLflowLoggerCallback", "mlflow", "mlflow")],
)
def test_missing_library_is_named_with_its_extra(logger, module, extra):
    code = f"""
        import sys
        from importlib.abc import MetaPathFinder
        class Blocked(MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "{module}":
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        sys.meta_path.insert(0, Blocked())
        from tune_core.errors import MissingDependencyError
        from tune_core.logger import {logger}
        try:
            {logger}()
        except MissingDependencyError as error:
            sys.exit(0 if "tune-core[{extra}]" in str(error) else str(error))
        sys.exit("no error")
    """
    result = run_python(code)
    assert result.returncode == 0, result.stderr

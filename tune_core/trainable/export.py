"""Formats that a class trainable may export its model in."""

from __future__ import annotations

from collections.abc import Sequence

from tune_core.errors import InvalidArgumentError


class ExportFormat:
    """Names of the formats that ``Trainable._export_model`` may be asked for."""

    CHECKPOINT = "checkpoint"
    MODEL = "model"
    ONNX = "onnx"
    H5 = "h5"

    @staticmethod
    def validate(formats: Sequence[object]) -> list[str]:
        """The formats, stripped and in lower case.

        Raises
        ------
        InvalidArgumentError
            If one is not among them.
        """
        known = (ExportFormat.CHECKPOINT, ExportFormat.MODEL, ExportFormat.ONNX, ExportFormat.H5)
        found = [str(one).strip().lower() for one in formats]
        for one in found:
            if one not in known:
                raise InvalidArgumentError(
                    f"export_formats: {one!r}", "is no format", "a model is exported by name", f"Use one of {known}."
                )
        return found

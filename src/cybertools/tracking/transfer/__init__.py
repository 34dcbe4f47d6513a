"""Import and export: between a storage and files of many formats."""

from cybertools.tracking.transfer.drafts import parse_map
from cybertools.tracking.transfer.exporting import export_file, export_lines
from cybertools.tracking.transfer.formats import FORMATS, Format
from cybertools.tracking.transfer.gaps import parse_duration
from cybertools.tracking.transfer.importing import FileReport, Report, import_files, import_steps

__all__ = [
    "FORMATS",
    "FileReport",
    "Format",
    "Report",
    "export_file",
    "export_lines",
    "import_files",
    "import_steps",
    "parse_duration",
    "parse_map",
]

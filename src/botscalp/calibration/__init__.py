"""Calibration: from the model's raw probability to one that means what it says."""

from botscalp.calibration.maps import Calibrator, IsotonicMap, LogOddsMap, calibrator_from_dict
from botscalp.calibration.options import Calibration

__all__ = ["Calibration", "Calibrator", "IsotonicMap", "LogOddsMap", "calibrator_from_dict"]

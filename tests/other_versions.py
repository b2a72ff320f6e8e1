"""Resources of FHIR R4 rewritten as R5, STU3 and DSTU2 would say the same: those of the fixtures' servers."""

from fhir_fixtures.other_versions import as_dstu2, as_r5, as_stu3

__all__ = ["as_dstu2", "as_r5", "as_stu3"]

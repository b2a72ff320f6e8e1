"""trd-cds: has this patient failed two adequate antidepressant trials?

The line a patient's data travels, one module per arrow:

    request -> prefetch or FHIR fetch -> prescriptions, scores, conditions   hook_request, fhir_source, fhir_reading
            -> exposures -> trials -> outcomes -> assessment                 trd
            -> cards -> response                                             cards, web

`respond.py` is that line, a statement a step; start reading there.
This module imports nothing, so that the rules can be loaded without the web.
"""

__version__ = "0.1.0"

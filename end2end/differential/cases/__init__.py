"""Every request, in the order in which they are sent. A family of the API is a file; each begins with what its own need."""

from cases import artifact, experiment, logged_model, logging, model, model_version, run, search_models, search_runs, wire

CASES = [
    case
    for family in (experiment, run, logging, search_runs, logged_model, artifact, search_models, model, model_version, wire)
    for case in family.CASES
]

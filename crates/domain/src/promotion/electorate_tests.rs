//! Who counts for which rule.

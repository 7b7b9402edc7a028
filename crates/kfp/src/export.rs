//! stub
pub struct Exported;
pub fn export() -> Exported { Exported }

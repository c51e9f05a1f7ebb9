//! Arguments, then the library does the work.
fn main() {}

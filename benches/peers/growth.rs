use super::{Arguments, report::Report};
pub async fn run(_: &Arguments, _: &mut Report) {}

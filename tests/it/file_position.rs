//! Sources without GTIDs are followed by file and offset: what `load` puts to the test holds there too, in every mix, and
//! what cannot be followed is told.

use causeway::demo::mysqld::ServerOptions;

use crate::{
    load::{self, Options},
    support::{
        ask::{cell, eventually, quiet, rows, sql},
        cluster::{Pair, Proxy},
        compare::assert_same,
    },
};

fn without_gtids() -> ServerOptions {
    ServerOptions::with(&["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"])
}

/// Neither server has GTIDs.
fn neither() -> Options {
    [without_gtids(), without_gtids()]
}

#[tokio::test]
async fn writers_on_both_sides_end_equal_and_then_the_binlogs_are_quiet() {
    load::writers_on_both_sides(neither()).await;
}

//! Ways a binlog may be written.

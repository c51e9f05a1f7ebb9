//! `SHOW REPLICA STATUS`: each link as a replication channel, for what watches replicas.

use super::{Reply, Result, Statements, rows, told};
use crate::admin::reply::SqlError;

impl Statements {
    pub(super) async fn show_replica_status(&self, old_names: bool, channel: Option<String>) -> Result<Reply> {
        self.control.publish(false).await;
        let asked = channel.clone();
        let found = self
            .blocking(move |store| store.replica_status(asked.as_deref()))
            .await?;
        let mut found = found.map_err(told)?;
        if let Some(channel) = channel.filter(|_| found.rows.is_empty()) {
            let message = format!(
                "Replica channel '{channel}' does not exist; a channel is a task and a direction, as in 'orders:forward'"
            );
            return Err(SqlError::new(3074, "HY000", message));
        }
        if old_names {
            for column in &mut found.columns {
                column.name = old_name(&column.name);
            }
        }
        Ok(rows(found))
    }
}

/// A column's name before MySQL 8.4, with which `SHOW SLAVE STATUS` answers.
fn old_name(column: &str) -> String {
    match column {
        "Get_Source_public_key" => "Get_master_public_key".to_owned(),
        _ => column
            .replace("Source_", "Master_")
            .replace("_Source", "_Master")
            .replace("Replica_", "Slave_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_are_those_of_mysql_8_0() {
        let check = |new: &str, old: &str| assert_eq!(old_name(new), old);
        check("Replica_IO_State", "Slave_IO_State");
        check("Replica_SQL_Running_State", "Slave_SQL_Running_State");
        check("Source_Host", "Master_Host");
        check("Relay_Source_Log_File", "Relay_Master_Log_File");
        check("Read_Source_Log_Pos", "Read_Master_Log_Pos");
        check("Seconds_Behind_Source", "Seconds_Behind_Master");
        check("Source_SSL_Verify_Server_Cert", "Master_SSL_Verify_Server_Cert");
        check("Source_public_key_path", "Master_public_key_path");
        check("Get_Source_public_key", "Get_master_public_key");
        check("Replicate_Do_DB", "Replicate_Do_DB");
        check("Channel_Name", "Channel_Name");
    }
}

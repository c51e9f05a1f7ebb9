//! docs/precheck.md, made from the items themselves.

use super::{Severity, items};

/// The page.
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    for item in items() {
        let severity = match item.severity {
            Severity::Fails => "fail",
            Severity::Warns => "warn",
            Severity::Both => "fail or warn",
        };
        page.push_str(&format!(
            "| {} | {severity} | {} | {} |\n",
            item.name, item.looks_at, item.why
        ));
    }
    page
}

const INTRODUCTION: &str = "\
<!-- Made from src/precheck by `UPDATE_DOCS=1 cargo test --lib precheck`. Change it there. -->
# Precheck

`START SYNC TASK` looks at both servers first, and `PRECHECK SYNC TASK` does so at any time, also while the task runs:

```sql
PRECHECK SYNC TASK orders;
SELECT * FROM sync.prechecks WHERE task = 'orders' AND result <> 'pass';   -- the last one
```

There is one row per item and direction: `item`, `direction`, `result`, `found`, `remedy`, `acknowledged`. In a two-way task each
server is the source of one direction and the destination of the other.

| result | what it means |
|---|---|
| `fail` | the task does not start; the error of `START` names the items |
| `warn` | the task starts; you should know |
| `skip` | it could not be looked at, and says why; it is never taken for a pass |
| `pass` | all is well |

`remedy` is the statement that mends it, wherever one statement can, with the names and the account as they are, and a comment
in front that says where to run it: at a server, or in Causeway.

```sql
ALTER SYNC TASK orders ACKNOWLEDGE 'triggers at the receiving side';
```

acknowledges a warning by the item's name. That is remembered, and shown in the column `acknowledged`. A fail can't be
acknowledged.

`RESUME SYNC TASK` looks at the servers' settings only, and a task that goes on by itself when Causeway starts is not held up by
any of this; what would harm data is looked at again wherever it is about to happen.

## Items

| item | result | looks at | why |
|---|---|---|---|
";

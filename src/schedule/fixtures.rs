//! A small table for the tests of this module.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use crate::model::{
    change::{Binding, Change, Images, Mode, Target},
    name::TableName,
    row::Row,
    table::{Family, Table, TableColumn},
    table_map::{Column, ColumnKind, TableMap},
};

/// A table of two INT columns, `id` (its key) and `v`; the destination may have a third, which the rows say nothing of.
pub(super) fn target(name: &str, mode: Mode, partial: bool) -> Arc<Target> {
    let column = |name: &str| TableColumn {
        name: name.to_owned(),
        family: Family::Integer,
        column_type: "int".to_owned(),
        nullable: false,
        generated: false,
        on_update: false,
        default: None,
        auto_increment: false,
    };
    let mapped = Column {
        kind: ColumnKind::Long,
        nullable: false,
        unsigned: false,
        collation: None,
        name: None,
        members: None,
    };
    let mut columns = vec![column("id"), column("v")];
    columns.extend(partial.then(|| column("more")));
    let name = TableName::new("d", name);
    Arc::new(Target {
        source: name.clone(),
        map: Arc::new(TableMap {
            table_id: 1,
            name: name.clone(),
            columns: vec![mapped.clone(), mapped],
            primary_key: None,
        }),
        table: Arc::new(Table {
            name,
            columns,
            unique_keys: vec![],
            foreign_keys: vec![],
            references: vec![],
        }),
        columns: [0, 1]
            .map(|place| Binding {
                source: place,
                destination: place,
            })
            .into(),
        key: vec![0],
        dependencies: vec![],
        mode,
        filter: None,
        retyped: HashMap::new(),
    })
}

pub(super) fn row(target: &Target, (id, v): (i32, i32)) -> Row {
    let image = [&[0][..], &id.to_le_bytes(), &v.to_le_bytes()].concat();
    Row {
        table: target.map.clone(),
        present: Bytes::from_static(&[0b11]),
        image: Bytes::from(image),
    }
}

/// Changes of one transaction.
pub(super) fn changes(target: &Arc<Target>, images: Vec<Images>) -> Vec<Change> {
    let changes = images.into_iter().zip(0..).map(|(images, ordinal)| Change {
        target: target.clone(),
        images,
        ordinal,
        cascades: false,
    });
    changes.collect()
}

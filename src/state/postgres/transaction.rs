//! The transaction of a group of commits. Called by the writer.

use std::collections::{BTreeSet, HashMap};

use tokio_postgres::{Client, Error};

use crate::state::{Change, Session};

use super::group::Group;
use super::write::Statements;

/// One transaction: locks the Syncs, checks their epochs, applies what is left. Gives the sessions that
/// another worker has taken over. The commit is sent only when every statement has succeeded.
pub async fn transaction(
    client: &Client,
    statements: &Statements,
    commits: Vec<(Session, Vec<Change>)>,
) -> Result<BTreeSet<(i64, i64)>, Error> {
    let ids: BTreeSet<i64> = commits.iter().map(|(session, _)| session.id).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let result = async {
        let (begun, epochs) = futures::future::join(
            client.batch_execute("BEGIN"),
            client.query(&statements.lock, &[&ids]),
        )
        .await;
        begun?;
        let epochs: HashMap<i64, i64> =
            epochs?.iter().map(|row| (row.get(0), row.get(1))).collect();
        let (mut group, mut fenced) = (Group::default(), BTreeSet::new());
        for (session, changes) in commits {
            if epochs.get(&session.id) == Some(&session.epoch) {
                for change in changes {
                    group.add(session.id, change);
                }
            } else {
                fenced.insert((session.id, session.epoch));
            }
        }
        statements.apply(client, &group).await?;
        client.batch_execute("COMMIT").await?;
        Ok(fenced)
    }
    .await;
    if result.is_err() && !client.is_closed() {
        // Fails only with the connection, which ends the transaction, too.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    result
}

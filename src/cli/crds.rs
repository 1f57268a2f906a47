//! `syncline crds`: the CustomResourceDefinitions, to apply to a cluster.

use clap::Args;

use super::{Exit, output};
use crate::api::crd;

/// Print the CustomResourceDefinitions as YAML
#[derive(Debug, Args)]
#[command(after_help = "Example: syncline crds | kubectl apply -f -")]
pub struct Crds {}

impl Crds {
    pub fn run(&self) -> anyhow::Result<Exit> {
        let documents: Vec<String> = crd::all().iter().map(crd::Crd::yaml).collect();
        output::print(&documents.join("---\n"))?;
        Ok(Exit::Good)
    }
}

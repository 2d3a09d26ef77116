//! Whether the networks that the device is in let Multipath TCP through.

use std::sync::Arc;

use twinpath::Target;
use twinpath::diagnosis;

use crate::connector::run;
use crate::error::Failure;
use crate::wait::Cancellation;

/// Tests every path to `target`, written as `host:port`, over these interfaces or over all that can be used, as far as an app
/// can without privilege; within 12 s. The answer is one JSON object, the same that `twinpath doctor --json` has
/// (core/doctor/SCHEMA.md), for whoever supports the app. It has addresses in it. Given up, it leaves nothing open.
#[uniffi::export]
pub async fn diagnose(
    target: String,
    interfaces: Vec<String>,
    cancellation: Option<Arc<Cancellation>>,
) -> Result<String, Failure> {
    run(cancellation, async move {
        let target: Target = target.parse()?;
        let diagnosis = diagnosis::diagnose(target, &interfaces).await?;
        Ok(diagnosis.json().to_string())
    })
    .await
}

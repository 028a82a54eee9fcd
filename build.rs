//! Compiles the published language: protos to Rust, without a `protoc` on the machine.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

/// The files of the published language; what they import comes along.
const PROTOS: [&str; 8] = [
    "strata/v1/plan_service.proto",
    "strata/v1/history_service.proto",
    "strata/v1/advice_service.proto",
    "strata/v1/admin_service.proto",
    "strata/v1/audit_service.proto",
    "strata/v1/errors.proto",
    "strata/v1/log.proto",
    // Imported by nothing, but served by reflection so that clients can print error details.
    "google/rpc/error_details.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("strata.descriptors.bin");
    fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        // Commits travel as the bytes that were stored, so the entry that holds one is our own type.
        .extern_path(".strata.v1.LogEntry", "crate::proto::LogEntry")
        // So do plans that many look at.
        .extern_path(
            ".strata.v1.GetPlanResponse",
            "crate::proto::GetPlanResponse",
        )
        // And reviews, whose findings are encoded as they are drawn.
        .extern_path(
            ".strata.v1.ReviewPlanResponse",
            "crate::proto::ReviewPlanResponse",
        )
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(descriptors)?;
    Ok(())
}

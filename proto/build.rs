//! Compiles the .proto files with a pure-Rust compiler; no `protoc` is needed. Messages only:
//! services are for the crate that speaks gRPC.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "quorate/v1/statement.proto",
        "quorate/v1/gossip.proto",
        "quorate/v1/membership.proto",
        "quorate/v1/registry.proto",
        "quorate/v1/request.proto",
        "quorate/v1/timeline.proto",
        "quorate/v1/store.proto",
        "quorate/v1/sync.proto",
    ];
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(files, ["proto"])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}

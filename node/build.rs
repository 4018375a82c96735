//! Compiles the services of registry.proto; their messages are those of `quorate_proto::wire`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PROTO: &str = "../proto/proto";
    println!("cargo::rerun-if-changed={PROTO}/quorate/v1");
    let descriptors = protox::compile(["quorate/v1/registry.proto"], [PROTO])?;
    tonic_prost_build::configure()
        .extern_path(".quorate.v1", "::quorate_proto::wire")
        .compile_fds(descriptors)?;
    Ok(())
}

// swift-tools-version: 6.0
import PackageDescription

// All that the demo does and shows, without a user interface: built and tested on Linux too.
let package = Package(
    name: "DemoModel",
    defaultLocalization: "en",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "DemoModel", targets: ["DemoModel"])],
    dependencies: [.package(name: "Twinpath", path: "../../bindings/swift")],
    targets: [
        .target(
            name: "DemoModel",
            dependencies: [
                .product(name: "Twinpath", package: "Twinpath"),
                .product(name: "TwinpathFaults", package: "Twinpath"),
            ]
        ),
        .testTarget(name: "DemoModelTests", dependencies: ["DemoModel"]),
    ],
    swiftLanguageModes: [.v6]
)

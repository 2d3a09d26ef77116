import Foundation
import XCTest

@testable import Twinpath

#if canImport(Glibc)
    import Glibc
#endif

/// The world in which the tests run: `in-lab` has made it, and takes orders.
enum Lab {
    static var gatewayHost: String { String(variable("TWINPATH_LAB_GATEWAY").split(separator: ":")[0]) }
    static var gatewayPort: Int { Int(variable("TWINPATH_LAB_GATEWAY").split(separator: ":")[1])! }
    static var http: String { variable("TWINPATH_LAB_HTTP") }
    static var https: String { variable("TWINPATH_LAB_HTTPS") }
    static var root: String { try! String(contentsOfFile: variable("TWINPATH_LAB_ROOT"), encoding: .utf8) }

    static var key: Data {
        let digits = Array(variable("TWINPATH_LAB_KEY"))
        return Data(stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! })
    }

    /// Gives an order, and has the answer.
    @discardableResult
    static func order(_ order: String) -> String {
        let path = variable("TWINPATH_LAB")
        let desk = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(desk) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(desk, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        precondition(connected == 0, "there is no lab at \(path)")
        let line = Array("\(order)\n".utf8)
        precondition(write(desk, line, line.count) == line.count, "the lab has ended")
        var answer: [UInt8] = []
        var byte: UInt8 = 0
        while read(desk, &byte, 1) == 1, byte != UInt8(ascii: "\n") { answer.append(byte) }
        let text = String(decoding: answer, as: UTF8.self)
        precondition(!text.isEmpty && !text.hasPrefix("cannot"), text)
        return text
    }

    private static func variable(_ name: String) -> String {
        guard let value = ProcessInfo.processInfo.environment[name] else {
            fatalError("\(name) is not set: run these tests with bindings/swift/test")
        }
        return value
    }
}

/// A test that leaves the links as they were.
class LabTestCase: XCTestCase {
    override func tearDown() {
        Lab.order("wifi heal")
        Lab.order("cellular heal")
    }
}

/// Who opens the legs in all tests: the library, or something else that the environment asks for.
let legs: (any LegDialer)? =
    ProcessInfo.processInfo.environment["TWINPATH_TEST_LEGS"] == "injected" ? PosixDialer() : nil

/// Options for any server.
func anyServer(_ change: (inout TwinpathOptions) -> Void = { _ in }) -> TwinpathOptions {
    var options = TwinpathOptions()
    options.dialer = legs
    change(&options)
    return options
}

/// A connector for the lab's gateway.
func connector(_ standby: Standby = .warm, _ change: (inout TwinpathOptions) -> Void = { _ in }) throws
    -> TwinpathConnector
{
    try TwinpathConnector(
        anyServer {
            $0.peer = .gateway
            $0.standby = standby
            $0.budgetPerDay = nil
            change(&$0)
        })
}

extension TwinpathConnector {
    func toGateway() async throws -> TwinpathConnection {
        try await connect(to: Lab.gatewayHost, port: Lab.gatewayPort)
    }
}

extension TwinpathConnection {
    /// Exactly so many bytes.
    func read(exactly size: Int) async throws -> Data {
        var all = Data(capacity: size)
        while all.count < size {
            guard let bytes = try await read(upTo: min(piece, size - all.count)) else {
                throw TwinpathError(.other, "it ended after \(all.count) bytes")
            }
            all.append(bytes)
        }
        return all
    }

    func write(_ text: String) async throws { try await write(Data(text.utf8)) }
}

/// Bytes that differ from place to place.
func pattern(_ size: Int, seed: UInt64 = 1) -> Data {
    var state = seed
    var bytes = [UInt8](repeating: 0, count: size)
    for index in bytes.indices {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes[index] = UInt8(truncatingIfNeeded: state >> 56)
    }
    return Data(bytes)
}

/// What a call fails with.
func failure<T>(_ call: () async throws -> T) async -> TwinpathError? {
    do {
        _ = try await call()
        return nil
    } catch {
        return error as? TwinpathError
    }
}

/// For how long it runs, in milliseconds.
func milliseconds(_ call: () async throws -> Void) async rethrows -> Double {
    let clock = ContinuousClock()
    let took = try await clock.measure { try await call() }
    return Double(took.components.seconds) * 1000 + Double(took.components.attoseconds) / 1e15
}

func pause(_ milliseconds: Int) async throws {
    try await Task.sleep(for: .milliseconds(milliseconds))
}

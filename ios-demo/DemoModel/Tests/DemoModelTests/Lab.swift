import Foundation
import Observation
import XCTest

@testable import DemoModel

#if canImport(Glibc)
    import Glibc
#endif

/// The world in which the tests run: `in-lab` has made it, and takes orders.
enum Lab {
    static var gateway: String { variable("TWINPATH_LAB_GATEWAY") }
    static var host: String { String(gateway.prefix { $0 != ":" }) }
    static var http: String { variable("TWINPATH_LAB_HTTP") }

    /// Gives an order, and has the answer.
    @discardableResult
    static func order(_ order: String) -> String {
        let desk = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(desk) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: variable("TWINPATH_LAB").utf8) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(desk, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        precondition(connected == 0, "there is no lab")
        let line = Array("\(order)\n".utf8)
        precondition(write(desk, line, line.count) == line.count, "the lab has ended")
        var answer: [UInt8] = []
        var byte: UInt8 = 0
        while read(desk, &byte, 1) == 1, byte != UInt8(ascii: "\n") { answer.append(byte) }
        let text = String(decoding: answer, as: UTF8.self)
        precondition(!text.isEmpty && !text.hasPrefix("cannot"), text)
        return text
    }

    /// Bytes of TCP payload that have arrived over a link, at both ends.
    static func delivered(_ link: String) -> Int64 { Int64(order("\(link) delivered"))! }

    /// Sockets of this process.
    static var sockets: Int {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return files.filter {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))?.hasPrefix("socket:")
                == true
        }.count
    }

    private static func variable(_ name: String) -> String {
        guard let value = ProcessInfo.processInfo.environment[name] else {
            fatalError("\(name) is not set: run these tests with ios-demo/test")
        }
        return value
    }
}

extension DemoViewModel {
    /// Waits for something that the screen would show; in vain if the demo ends, or for half a minute.
    func until(_ line: UInt = #line, _ condition: @escaping @MainActor (DemoViewModel) -> Bool) async {
        let deadline = ContinuousClock.now + .seconds(30)
        while !condition(self) {
            guard isActive, ContinuousClock.now < deadline else {
                return XCTFail("\(state) after \(chart.total), \(chart.markers)", line: line)
            }
            await withCheckedContinuation { continuation in
                withObservationTracking {
                    _ = (condition(self), chart, state, isActive)
                } onChange: {
                    continuation.resume()
                }
            }
            await Task.yield()
        }
    }

    func tells(_ key: Key) -> Bool { log.entries.contains { $0.what.key == key } }

    var kinds: [TrafficChart.Kind] { chart.markers.map(\.kind) }
}

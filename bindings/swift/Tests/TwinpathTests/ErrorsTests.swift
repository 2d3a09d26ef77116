import Foundation
import XCTest

@testable import Twinpath

final class ErrorsTests: LabTestCase {
    private func connecting(
        _ host: String, _ port: Int, _ change: (inout TwinpathOptions) -> Void = { _ in }
    ) async -> TwinpathError? {
        let options = anyServer(change)
        return await failure { try await TwinpathConnection.connect(to: host, port: port, options: options) }
    }

    func testEveryWayToFailHasItsKindAndWords() async throws {
        let host = Lab.gatewayHost
        let refused = await connecting(host, 9)
        XCTAssertEqual(refused?.kind, .refused)
        XCTAssertNotNil(refused?.osCode)
        let unknown = await connecting("no.such.name.invalid", 443)
        XCTAssertEqual(unknown?.kind, .nameNotFound)
        let invalid = await connecting("two words", 443)
        XCTAssertEqual(invalid?.kind, .invalidInput)
        let port = await connecting(host, 0)
        XCTAssertEqual(port?.kind, .invalidInput)
        let interface = await connecting(host, 443) { $0.primary = [.named("no0")] }
        XCTAssertEqual(interface?.kind, .noInterface)
        let pin = await connecting(host, 443) { $0.pin = Data(count: 31) }
        XCTAssertEqual(pin?.kind, .invalidInput)
        let mode = await connecting(host, 443) { $0.mode = .emulated }
        XCTAssertEqual(mode?.kind, .unsupported)
        Lab.order("wifi blackhole")
        Lab.order("cellular blackhole")
        let late = await connecting(host, Lab.gatewayPort) { $0.connectTimeout = .milliseconds(300) }
        XCTAssertEqual(late?.kind, .timedOut)
        XCTAssertTrue(late?.localizedDescription.contains("check the address") == true, "\(String(describing: late))")
    }

    func testAGatewayThatIsNoneAndOneWithAnotherKeyAreTold() async throws {
        let web = try XCTUnwrap(URLComponents(string: Lab.http))
        let server = try await connector().connect(to: web.host!, port: web.port!)
        let none = await failure {
            try await server.write("hello")
            while try await server.read() != nil {}
        }
        XCTAssertEqual(none?.kind, .notAGateway)
        let wrong = await failure {
            let connection = try await connector { $0.pin = Data(repeating: 7, count: 32) }.toGateway()
            try await connection.write("hello")
            _ = try await connection.read()
        }
        XCTAssertEqual(wrong?.kind, .pinMismatch)
        let right = try await connector {
            $0.pin = Lab.key
            $0.earlyData = true
        }.toGateway()
        try await right.write("hello")
        let hello = try await right.read(exactly: 5)
        XCTAssertEqual(hello, Data("hello".utf8))
        right.abort()
        let closed = await failure { try await right.read() }
        XCTAssertEqual(closed?.kind, .closed)
    }

    func testALostPathTowardsAnyServerTellsWhatArrivedAndGivesAFreshLeg() async throws {
        let web = try XCTUnwrap(URLComponents(string: Lab.http))
        let options = anyServer {
            $0.mode = .plainPair
            $0.budgetPerDay = nil
        }
        let connection = try await TwinpathConnection.connect(to: web.host!, port: web.port!, options: options)
        let request = Data("GET /file?size=9000000&seed=1 HTTP/1.1\r\nhost: x\r\n\r\n".utf8)
        try await connection.write(request)
        _ = try await connection.read(exactly: 2_000_000)
        Lab.order("wifi blackhole")
        let lost = await failure { while try await connection.read() != nil {} }
        XCTAssertEqual(lost?.kind, .interrupted)
        XCTAssertEqual(lost?.interruption?.role, .primary)
        // The kernel knows, of a socket of the library.
        XCTAssertEqual(lost?.interruption?.acknowledged, legs == nil ? Int64(request.count) : nil)
        XCTAssertGreaterThanOrEqual(lost?.interruption?.read ?? 0, 2_000_000)
        let fresh = try await connection.freshLeg()
        try await fresh.write(request)
        let answer = try await fresh.read(exactly: 15)
        XCTAssertEqual(answer, Data("HTTP/1.1 200 OK".utf8))
        fresh.abort()
    }

    func testWhatMayBeSpentIsToldAndBounded() throws {
        let connector = try connector { $0.budgetPerDay = 1_000_000 }
        XCTAssertEqual(try connector.budget, Budget(perDay: 1_000_000, used: 0, remaining: 1_000_000))
        try connector.setBudgetUsed(400_000)
        XCTAssertEqual(try connector.budget.remaining, 600_000)
        try connector.setBudget(perDay: nil)
        XCTAssertNil(try connector.budget.perDay)
        try connector.setDataSaving(true)
        XCTAssertEqual(try connector.budget.remaining, 0)
        XCTAssertThrowsError(try connector.setBudget(perDay: -1))
    }

    func testTheLogGoesToTheApp() async throws {
        let lines = Lines()
        try TwinpathLibrary.log(.debug) { level, module, line in lines.add("\(level) \(module) \(line)") }
        let connection = try await connector().toGateway()
        try await connection.write("x")
        while !lines.all.contains(where: { $0.hasPrefix("debug twinpath") }) { try await pause(5) }
        try TwinpathLibrary.log(.off, to: nil)
        try await connection.close()
        XCTAssertFalse(TwinpathLibrary.version.isEmpty)
    }
}

private final class Lines: @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [String] = []

    var all: [String] { lock.withLock { lines } }

    func add(_ line: String) { lock.withLock { lines.append(line) } }
}

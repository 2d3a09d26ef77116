import Foundation
import TwinpathFaults
import XCTest

@testable import Twinpath

final class FaultsTests: LabTestCase {
    private func connection(_ faults: FaultInjection) async throws -> TwinpathConnection {
        let options = anyServer {
            $0.peer = .gateway
            $0.standby = .warm
            $0.budgetPerDay = nil
        }
        return try await TwinpathConnector(faults.injected(into: options)).toGateway()
    }

    private func echo(_ connection: TwinpathConnection) async throws {
        try await connection.write("more")
        _ = try await connection.read(exactly: 4)
    }

    func testABlackholeOnPurposeMovesAStreamAsATrueOneDoesAndItGoesBackWhenThatIsOver() async throws {
        let faults = try FaultInjection()
        let data = pattern(8_000_000)
        let connection = try await connection(faults)
        async let writing: Void = connection.write(data)
        var got = try await connection.read(exactly: data.count / 4)
        try faults.set(.primary, .blackhole)
        got += try await connection.read(exactly: data.count / 4)
        XCTAssertEqual(try connection.stats.active, .backup)
        try faults.set(.primary, nil)
        got += try await connection.read(exactly: data.count / 2)
        try await writing
        XCTAssertEqual(got, data)
        while try connection.stats.active == .backup { try await echo(connection) }
        XCTAssertLessThan(try connection.stats.worstStall, .seconds(1))
    }

    func testAResetOnPurposeLosesNothing() async throws {
        let faults = try FaultInjection()
        let connection = try await connection(faults)
        try await echo(connection)
        while try connection.stats.failovers == 0 {
            try faults.reset(.primary)
            try await echo(connection)
        }
    }

    func testADelayOnPurposeIsSeenAsADelay() async throws {
        let faults = try FaultInjection()
        let connection = try await connection(faults)
        for _ in 0..<5 { try await echo(connection) }
        for role in Role.allCases { try faults.set(role, .delay(.milliseconds(100))) }
        let took = try await milliseconds { try await echo(connection) }
        XCTAssertGreaterThanOrEqual(took, 200)
    }
}

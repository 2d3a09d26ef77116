import Twinpath
import XCTest

@testable import DemoModel

final class TrafficChartTests: XCTestCase {
    private func ms(_ number: Int) -> Duration { .milliseconds(number) }

    func testBytesStandInTheBarOfTheirTimeAndOnTheirPath() {
        var chart = TrafficChart()
        chart.record(1, [.primary: 100, .backup: 0], at: ms(100))
        chart.record(1, [.primary: 150, .backup: 7], at: ms(260))
        chart.record(2, [.primary: 30], at: ms(499))
        chart.advance(to: ms(600))
        XCTAssertEqual(chart.bars.count, 240)
        XCTAssertEqual(chart.bars.suffix(3).map(\.primary), [100, 80, 0])
        XCTAssertEqual(chart.bars.suffix(3).map(\.backup), [0, 7, 0])
        XCTAssertEqual(chart.peak, 100)
        XCTAssertEqual(chart.total, TrafficChart.Bar(primary: 180, backup: 7))
    }

    func testACounterThatBeginsAnewLosesNothingAndIsNeverNegative() {
        var chart = TrafficChart()
        chart.record(1, [.primary: 1000], at: ms(0))
        chart.record(1, [.primary: 40], at: ms(250))
        chart.record(1, [.backup: 5], at: ms(500))
        chart.record(1, [.primary: 45], at: ms(750))
        XCTAssertEqual(chart.bars.suffix(4).map(\.sum), [1000, 40, 5, 5])
        XCTAssertEqual(chart.total.sum, 1050)
    }

    func testAConnectionThatEndsKeepsItsBytesAndItsNumberMayBeUsedAgain() {
        var chart = TrafficChart()
        chart.record(1, [.primary: 1000], at: ms(0))
        chart.forget(1)
        chart.record(1, [.primary: 1500], at: ms(10))
        XCTAssertEqual(chart.total.sum, 2500)
    }

    func testWhatIsOlderThanAMinuteIsGoneHoweverLongNobodyLooked() {
        var chart = TrafficChart()
        chart.record(1, [.primary: 9], at: ms(0))
        chart.mark(.hedge, at: ms(100))
        chart.advance(to: ms(59_999))
        XCTAssertEqual(chart.bars.first?.primary, 9)
        XCTAssertEqual(chart.markers.count, 1)
        chart.advance(to: ms(60_000))
        XCTAssertEqual(chart.peak, 0)
        XCTAssertEqual(chart.markers, [])
        chart.record(1, [.primary: 10], at: ms(60_000))
        chart.advance(to: .seconds(100_000))
        XCTAssertEqual(chart.bars, [TrafficChart.Bar](repeating: .init(), count: 240))
        XCTAssertEqual(chart.total.primary, 10)
    }

    func testTimeThatGoesBackPutsBytesIntoTheNewestBar() {
        var chart = TrafficChart()
        chart.record(1, [.primary: 1], at: ms(5000))
        chart.record(1, [.primary: 3], at: ms(10))
        XCTAssertEqual(chart.bars.last?.primary, 3)
    }

    func testTheSameOfTwoConnectionsIsOneMarkerWithTheLongerStall() {
        var chart = TrafficChart()
        chart.mark(.hedge, at: ms(1000))
        chart.mark(.failover, stall: ms(90), at: ms(1080))
        chart.mark(.hedge, at: ms(1090))
        chart.mark(.failover, stall: ms(120), at: ms(1200))
        chart.recovered(from: .failover, stall: ms(140))
        chart.mark(.failback, at: ms(4000))
        chart.mark(.failover, stall: ms(50), at: ms(9000))
        XCTAssertEqual(chart.markers.map(\.kind), [.hedge, .failover, .failback, .failover])
        XCTAssertEqual(chart.markers.map(\.stall), [nil, ms(140), nil, ms(50)])
    }

    func testMarkersAreBounded() {
        var chart = TrafficChart()
        for number in 0..<20_000 { chart.mark(TrafficChart.Kind.allCases[number % 3], at: ms(number * 10)) }
        XCTAssertLessThanOrEqual(chart.markers.count, 3 * 60)
    }

    func testEverythingIsDrawnWithinTheSurfaceAndStacked() {
        var chart = TrafficChart()
        chart.record(1, [.primary: 3000, .backup: 1000], at: ms(0))
        chart.record(1, [.primary: 3001, .backup: 1000], at: ms(250))
        chart.mark(.failover, stall: ms(80), at: ms(300))
        let layout = ChartLayout(chart, width: 480, height: 148)
        XCTAssertEqual(layout.boxes.map(\.role), [.primary, .backup, .primary])
        XCTAssertEqual(layout.boxes.map(\.height), [75, 25, 1])
        XCTAssertEqual(layout.boxes[1].y, ChartLayout.head)
        XCTAssertEqual(layout.boxes[2].x + layout.boxes[2].width, 480, accuracy: 1e-9)
        XCTAssertEqual(layout.lines.map(\.x), [478.4])
        XCTAssertTrue(layout.lines[0].wordsAreLeft)
    }

    func testWordsOfAKindStandWhereNoOthersOfItDo() {
        var chart = TrafficChart()
        for second in [1, 5, 6, 30] { chart.mark(.failback, at: .seconds(second)) }
        chart.mark(.hedge, at: .seconds(31))
        let layout = ChartLayout(chart, width: 360, height: 148)
        XCTAssertEqual(layout.lines.map(\.wordsY), [44, nil, nil, 44, 12])
    }
}

import Foundation
import Observation
import Twinpath
import TwinpathFaults

/// What is wrong with Wi-Fi, for show.
public enum FaultChoice: Sendable, CaseIterable {
    case none, blackhole, reset, delayed

    public var key: Key {
        switch self {
        case .none: .faultNone
        case .blackhole: .blackhole
        case .reset: .reset
        case .delayed: .delayed
        }
    }
}

/// The demo: what a screen shows, and what it can ask for. It outlives the screens that show it.
@MainActor @Observable
public final class DemoViewModel {
    public enum State: Sendable, Equatable {
        case idle, connecting, running, stopped
        /// Why, in the user's language, and what the SDK says about it.
        case failed(Phrase, detail: String)
    }

    /// Megabytes a day that can be chosen; the last is no limit.
    public static let budgets: [Int64?] = [1, 5, 10, 20, 50, 100, 200, 500, nil]

    public var server = ""
    public var service = ServiceType.handover
    /// Which of ``budgets`` is chosen.
    public var budget = 4 {
        didSet { try? connector?.setBudget(perDay: budgetPerDay) }
    }
    public private(set) var fault = FaultChoice.none
    public private(set) var state = State.idle
    public private(set) var chart = TrafficChart()
    public private(set) var log = EventLog()
    public private(set) var used: Int64 = 0
    public private(set) var lastEcho: Duration?
    public private(set) var worstEcho = Duration.zero
    private(set) var standing: Sample?

    private struct Source {
        let name: Key
        let sample: @Sendable () throws -> Sample
        var moves = Sample.Moves()
        /// What it has not yet recovered from.
        var trouble: TrafficChart.Kind?
    }

    private let clock = ContinuousClock()
    private var began = ContinuousClock.now
    private var connector: TwinpathConnector?
    private var faults: FaultInjection?
    private var sources: [Int: Source] = [:]
    private var opened = 0
    private var running: Task<Void, Never>?

    public init() {}

    public var isActive: Bool { running != nil }

    public func start() {
        guard !isActive else { return }
        guard let target = Target(server) else {
            state = .failed(Phrase(.invalidServer), detail: "")
            return
        }
        (chart, log, standing, lastEcho, worstEcho) = (TrafficChart(), EventLog(), nil, nil, .zero)
        (state, fault, began) = (.connecting, .none, clock.now)
        note(Phrase(.logStarted, .key(service.key)))
        running = Task {
            let ticker = Task {
                while !Task.isCancelled {
                    tick()
                    try? await clock.sleep(for: TrafficChart.bucket)
                }
            }
            do { try await run(target) } catch { ended(error) }
            ticker.cancel()
            tick()
            (connector, faults, fault, running) = (nil, nil, .none, nil)
        }
    }

    /// Closes everything, and returns when that is done.
    public func stop() async {
        running?.cancel()
        await running?.value
    }

    /// ``fault``, as something that can be chosen.
    public var chosenFault: FaultChoice {
        get { fault }
        set { choose(newValue) }
    }

    /// From now on Wi-Fi has this fault. A reset happens once.
    public func choose(_ choice: FaultChoice) {
        guard let faults else { return }
        do {
            switch choice {
            case .none: try faults.set(.primary, nil)
            case .blackhole: try faults.set(.primary, .blackhole)
            case .delayed: try faults.set(.primary, .delay(.milliseconds(300)))
            case .reset:
                try faults.set(.primary, nil)
                try faults.reset(.primary)
            }
            fault = choice == .reset ? .none : choice
            note(Phrase(.logFault, .key(choice.key)))
        } catch {
            ended(error)
        }
    }

    private var budgetPerDay: Int64? { Self.budgets[budget].map { $0 * 1_000_000 } }
    private var now: Duration { clock.now - began }

    private func run(_ target: Target) async throws {
        var options = TwinpathOptions()
        options.service = service
        options.budgetPerDay = budgetPerDay
        if case .gateway = target { options.peer = .gateway }
        let faults = try FaultInjection()
        let connector = try TwinpathConnector(faults.injected(into: options))
        // What was spent before is spent.
        try connector.setBudgetUsed(used)
        (self.faults, self.connector) = (faults, connector)
        switch target {
        case .gateway(let host, let port):
            try await GatewayWork(connector: connector, host: host, port: port).run(self)
        case .url(let url):
            try await WebWork(client: TwinpathHTTPClient(connector), url: url).run(self)
        }
    }

    private func ended(_ error: any Error) {
        if Task.isCancelled {
            state = .stopped
        } else if let error = error as? TwinpathError {
            state = .failed(Phrase(error.kind.key), detail: error.message)
        } else {
            state = .failed(Phrase(error is WrongStatus ? .wrongStatus : error is ServerEnded ? .closed : .other), detail: "")
        }
        note(statePhrase)
    }

    private func note(_ what: Phrase, of source: Key = .app) { log.add(what, of: source, at: now) }

    private func tick() {
        chart.advance(to: now)
        let samples = sources.keys.sorted().compactMap { id in
            (try? sources[id]?.sample()).map { (id: id, sample: $0) }
        }
        for (id, sample) in samples { take(sample, of: id) }
        standing = samples.first { $0.sample.mode != nil }?.sample ?? standing
        used = (try? connector?.budget.used) ?? used
    }

    private func take(_ sample: Sample, of id: Int) {
        guard let source = sources[id] else { return }
        chart.record(id, sample.carried, at: now)
        guard let moves = sample.moves else { return }
        if moves.hedges > source.moves.hedges { chart.mark(.hedge, at: now) }
        if moves.failovers > source.moves.failovers { chart.mark(.failover, stall: moves.worstStall, at: now) }
        if moves.failbacks > source.moves.failbacks { chart.mark(.failback, at: now) }
        if moves.resumes > source.moves.resumes {
            note(Phrase(.logResumed, .milliseconds(moves.worstStall)), of: source.name)
        }
        sources[id]?.moves = moves
    }
}

extension DemoViewModel: Audience {
    func opened(_ name: Key, sample: @escaping @Sendable () throws -> Sample) -> Int {
        opened += 1
        sources[opened] = Source(name: name, sample: sample)
        if state == .connecting { state = .running }
        return opened
    }

    func closed(_ source: Int, _ last: Sample?) {
        if let last { take(last, of: source) }
        chart.forget(source)
        sources[source] = nil
    }

    func happened(_ event: TwinpathEvent, to source: Int, _ name: Key) {
        note(Phrase(event), of: name)
        switch event {
        case .hedge:
            chart.mark(.hedge, at: now)
            sources[source]?.trouble = .hedge
        case .failover(_, _, _, let stall):
            chart.mark(.failover, stall: stall, at: now)
            sources[source]?.trouble = .failover
        case .recovered(_, let stall):
            // The whole stall is known only once something moves again.
            if let trouble = sources[source]?.trouble { chart.recovered(from: trouble, stall: stall) }
            sources[source]?.trouble = nil
        case .failback: chart.mark(.failback, at: now)
        default: break
        }
    }

    func failed(_ error: TwinpathError) { note(Phrase(.logFailed, .key(error.kind.key))) }

    func echoed(after delay: Duration) {
        lastEcho = delay
        worstEcho = max(worstEcho, delay)
    }
}

import Twinpath

/// What the screen says.
extension DemoViewModel {
    public var statePhrase: Phrase {
        switch state {
        case .idle: Phrase(.idle)
        case .connecting: Phrase(.connecting)
        case .running: Phrase(.running)
        case .stopped: Phrase(.stopped)
        case .failed(let why, _): Phrase(.failed, .phrase(why))
        }
    }

    /// How it runs, and why.
    public var modePhrase: Phrase? {
        guard let standing, let mode = standing.mode else { return nil }
        return standing.modeReason.map { Phrase(.modeBecause, .key(mode.key), .text($0)) } ?? Phrase(mode.key)
    }

    /// What is survived, and why not.
    public var protectionPhrase: Phrase? {
        guard let standing else { return nil }
        return standing.protection.map { Phrase($0) } ?? Phrase(.requests)
    }

    public var isProtected: Bool { standing?.protection?.isProtected ?? false }

    public var delayPhrase: Phrase? {
        lastEcho.map { Phrase(.delays, .milliseconds($0), .milliseconds(worstEcho)) }
    }

    /// The budget that is chosen.
    public var budgetChoice: Phrase {
        Self.budgets[budget].map { Phrase(.megabytes, .number(Double($0), digits: 0)) } ?? Phrase(.noLimit)
    }

    public var budgetPhrase: Phrase { Phrase(.budgetUsed, .megabytes(used), .phrase(budgetChoice)) }

    /// How much of the budget is spent, from 0 to 1.
    public var budgetShare: Double {
        Self.budgets[budget].map { min(1, Double(used) / (Double($0) * 1e6)) } ?? 0
    }

    /// What the highest bar stands for.
    public var ratePhrase: Phrase {
        let seconds = TrafficChart.bucket / .seconds(1)
        return Phrase(.rate, .number(Double(chart.peak) * 8 / seconds / 1e6, digits: 1))
    }

    /// The chart for those who do not see it.
    public var chartPhrase: Phrase {
        let failovers = chart.markers.filter { $0.kind == .failover }
        return Phrase(
            .chartValue, .megabytes(chart.total.primary), .megabytes(chart.total.backup),
            .number(Double(failovers.count), digits: 0), .milliseconds(failovers.compactMap(\.stall).max() ?? .zero))
    }
}

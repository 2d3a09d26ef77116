package org.twinpath.demo

import org.twinpath.Budget
import org.twinpath.Mode
import org.twinpath.Role
import org.twinpath.ServiceType
import org.twinpath.TwinpathEvent
import org.twinpath.TwinpathEvent.BudgetExhausted
import org.twinpath.TwinpathEvent.Closed
import org.twinpath.TwinpathEvent.Ended
import org.twinpath.TwinpathEvent.Established
import org.twinpath.TwinpathEvent.Failback
import org.twinpath.TwinpathEvent.Failover
import org.twinpath.TwinpathEvent.GoingAway
import org.twinpath.TwinpathEvent.Hedge
import org.twinpath.TwinpathEvent.LegDown
import org.twinpath.TwinpathEvent.LegUp
import org.twinpath.TwinpathEvent.ModeChanged
import org.twinpath.TwinpathEvent.ProtectionChanged
import org.twinpath.TwinpathEvent.Recovered

internal fun words(mode: Mode) = Words(
    when (mode) {
        Mode.KERNEL_MPTCP -> R.string.mode_kernel_mptcp
        Mode.EMULATED -> R.string.mode_emulated
        Mode.PLAIN_PAIR -> R.string.mode_plain_pair
        Mode.SINGLE_PATH -> R.string.mode_single_path
    },
)

internal fun words(role: Role) = Words(if (role == Role.PRIMARY) R.string.wifi else R.string.cellular)

internal fun words(service: ServiceType) = Words(
    when (service) {
        ServiceType.HANDOVER -> R.string.service_handover
        ServiceType.INTERACTIVE -> R.string.service_interactive
        ServiceType.AGGREGATE -> R.string.service_aggregate
    },
)

internal fun words(trouble: Trouble) = Words(
    when (trouble) {
        Trouble.NONE -> R.string.trouble_none
        Trouble.SILENT -> R.string.trouble_silent
        Trouble.RESET -> R.string.trouble_reset
        Trouble.DELAY -> R.string.trouble_delay
    },
)

internal fun words(budget: Budget) = Words(R.string.budget_used, budget.used.megabytes, limit(budget.perDay))

internal fun limit(perDay: Long?) =
    if (perDay == null) Words(R.string.no_limit) else Words(R.string.megabytes, perDay.megabytes)

/** What the chart shows, for those who do not see it. */
internal fun words(picture: Picture): Words {
    val failovers = picture.markers.filter { it.kind == Picture.Kind.FAILOVER }
    val worst = failovers.mapNotNull { it.stall }.maxOrNull()?.inWholeMilliseconds ?: 0
    return Words(R.string.chart_spoken, picture.primary.megabytes, picture.backup.megabytes, failovers.size, worst)
}

internal fun words(marker: Picture.Marker): Words {
    val stall = marker.stall?.inWholeMilliseconds
    return when (marker.kind) {
        Picture.Kind.HEDGE -> if (stall == null) Words(R.string.hedge) else Words(R.string.hedge_after, stall)
        Picture.Kind.FAILOVER -> Words(R.string.failover_after, stall ?: 0)
        Picture.Kind.FAILBACK -> Words(R.string.failback)
    }
}

/** What the log says of an event; nothing of what the screen shows anyway. */
internal fun words(event: TwinpathEvent): Words? = when (event) {
    Established -> Words(R.string.log_established)
    is LegUp -> Words(R.string.log_leg_up, words(event.path.role))
    is LegDown -> Words(R.string.log_leg_down, words(event.path.role), event.reason)
    is Hedge -> Words(R.string.log_hedge)
    is Recovered -> Words(R.string.log_recovered, event.stall.inWholeMilliseconds)
    is Failover -> Words(R.string.log_failover, event.stall.inWholeMilliseconds, event.reason)
    is Failback -> Words(R.string.log_failback)
    is ProtectionChanged -> Words(if (event.protection.isProtected) R.string.log_protected else R.string.log_unprotected)
    is ModeChanged -> Words(R.string.log_mode, words(event.mode))
    BudgetExhausted -> Words(R.string.log_budget)
    is GoingAway -> Words(R.string.log_going_away, event.within.inWholeSeconds)
    is Closed, is Ended -> null
}

internal val Long.megabytes: Double get() = this / 1e6

/** The state, and under it how the connection runs and what it can claim. */
internal fun words(screen: Screen): Words {
    val state = when (screen.state) {
        State.Idle -> Words(R.string.state_idle)
        State.Connecting -> Words(R.string.state_connecting)
        State.Running -> Words(R.string.state_running)
        State.Stopped -> Words(R.string.state_stopped)
        is State.Failed -> screen.state.why
    }
    return if (screen.mode == null || screen.protection == null || !screen.state.isActive) state
    else Words(R.string.status, state, screen.mode, screen.protection)
}

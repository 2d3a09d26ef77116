package org.twinpath

import kotlin.time.Duration
import kotlin.time.toKotlinDuration
import org.twinpath.ffi.Event
import org.twinpath.ffi.PathName as FfiPathName

/** A path: its role, and the system's name of its interface, where one is known. */
public data class PathName(val role: Role, val interfaceName: String?)

/** Something that happened to a connection. */
public sealed interface TwinpathEvent {
    /** The gateway has answered and proven itself. */
    public data object Established : TwinpathEvent

    /** A leg carries bytes, or could. */
    public data class LegUp(val path: PathName) : TwinpathEvent

    /** A leg is gone. */
    public data class LegDown(val path: PathName, val reason: String) : TwinpathEvent

    /** [from] is suspected; what is unacknowledged goes on [to] as well. */
    public data class Hedge(val from: PathName, val to: PathName) : TwinpathEvent

    /** A suspected path answered after all, or something moved again after a failover. */
    public data class Recovered(val path: PathName, val stall: Duration) : TwinpathEvent

    /** The backup became active. */
    public data class Failover(val from: PathName, val to: PathName, val reason: String, val stall: Duration) :
        TwinpathEvent

    /** The primary became active again. */
    public data class Failback(val from: PathName, val to: PathName) : TwinpathEvent

    /** What the connection can claim has changed. */
    public data class ProtectionChanged(val protection: Protection) : TwinpathEvent

    /** The mode has changed. */
    public data class ModeChanged(val mode: Mode, val reason: String) : TwinpathEvent

    /** The budget is spent; the backup is closed until it is raised. */
    public data object BudgetExhausted : TwinpathEvent

    /** The gateway will end within that time. */
    public data class GoingAway(val within: Duration) : TwinpathEvent

    /** The session has ended; [error] says why, if it did not end in order. */
    public data class Closed(val error: String?) : TwinpathEvent

    /** The last event: the account of the whole connection. */
    public data class Ended(val summary: TwinpathSummary) : TwinpathEvent
}

internal fun FfiPathName.asPathName() = PathName(role.asRole(), `interface`)

internal fun Event.asEvent(): TwinpathEvent =
    when (this) {
        Event.Established -> TwinpathEvent.Established
        is Event.LegUp -> TwinpathEvent.LegUp(path.asPathName())
        is Event.LegDown -> TwinpathEvent.LegDown(path.asPathName(), reason)
        is Event.Hedge -> TwinpathEvent.Hedge(from.asPathName(), to.asPathName())
        is Event.Recovered -> TwinpathEvent.Recovered(path.asPathName(), stall.toKotlinDuration())
        is Event.Failover ->
            TwinpathEvent.Failover(from.asPathName(), to.asPathName(), reason, stall.toKotlinDuration())
        is Event.Failback -> TwinpathEvent.Failback(from.asPathName(), to.asPathName())
        is Event.ProtectionChanged -> TwinpathEvent.ProtectionChanged(protection.asProtection())
        is Event.ModeChanged -> TwinpathEvent.ModeChanged(mode.asMode(), reason)
        Event.BudgetExhausted -> TwinpathEvent.BudgetExhausted
        is Event.GoingAway -> TwinpathEvent.GoingAway(within.toKotlinDuration())
        is Event.Closed -> TwinpathEvent.Closed(error)
        is Event.Ended -> TwinpathEvent.Ended(summary.asSummary())
    }

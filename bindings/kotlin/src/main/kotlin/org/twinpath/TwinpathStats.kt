package org.twinpath

import kotlin.time.Duration
import kotlin.time.toKotlinDuration
import org.twinpath.ffi.Protection as FfiProtection
import org.twinpath.ffi.Stats
import org.twinpath.ffi.Summary

/** What a connection can claim at this moment. */
public data class Protection(
    /** Whether losing the active path is survived. */
    val isProtected: Boolean,
    /** In words, with the reason if it is not. */
    val description: String,
)

/** The counters of one path. */
public data class PathStats(
    val role: Role,
    /** The system's name of its interface, where one is known. */
    val interfaceName: String?,
    /** What that is, where it is known. */
    val kind: InterfaceKind?,
    /** Bytes sent over it, framing included. */
    val sent: Long,
    /** Bytes received over it, framing included. */
    val received: Long,
    /** Smoothed round-trip time of its newest leg. */
    val roundTrip: Duration?,
    /** Whether a leg is up. */
    val isUp: Boolean,
)

/** A connection at one moment. */
public data class TwinpathStats(
    /** How it runs. */
    val mode: Mode,
    /** Why, in words. */
    val modeReason: String,
    /** What it can claim. */
    val protection: Protection,
    /** The path that carries the bytes. */
    val active: Role,
    /** Time since the connection was made. */
    val age: Duration,
    /** The paths, the primary first. */
    val paths: List<PathStats>,
    /** Suspicions with copies on the other path. */
    val hedges: Int,
    /** Times the backup became active. */
    val failovers: Int,
    /** Times the primary became active again. */
    val failbacks: Int,
    /** Longest time in which bytes were due and none moved. */
    val worstStall: Duration,
    /** Bytes accepted from the app. */
    val written: Long,
    /** Of these, bytes known to have arrived at the gateway. */
    val acknowledged: Long,
    /** Bytes that the app has read. */
    val read: Long,
)

/** What one path carried, without names or addresses. */
public data class PathSummary(
    val role: Role,
    val kind: InterfaceKind?,
    val cost: Cost,
    /** Bytes sent over it, framing included. */
    val sent: Long,
    /** Bytes received over it, framing included. */
    val received: Long,
)

/** The account of a connection: what an app may send to its analytics. It holds no address and no name. */
public data class TwinpathSummary(
    /** How it ran at the end. */
    val mode: Mode,
    /** How long it lived. */
    val duration: Duration,
    /** For how long losing the active path would have been survived. */
    val protectedFor: Duration,
    /** For how long it would not, per reason. */
    val unprotectedFor: Map<String, Duration>,
    /** Suspicions with copies on the other path. */
    val hedges: Int,
    /** Suspicions after which the path answered. */
    val needlessHedges: Int,
    /** Times the backup became active. */
    val failovers: Int,
    /** Times the primary became active again. */
    val failbacks: Int,
    /** Longest time in which bytes were due and none moved. */
    val worstStall: Duration,
    /** What each path carried, the primary first. */
    val paths: List<PathSummary>,
    /** Bytes accepted from the app. */
    val written: Long,
    /** Bytes that the app has read. */
    val read: Long,
    /** What ended it, if it did not end in order. */
    val error: ErrorKind?,
)

internal fun FfiProtection.asProtection() = Protection(isProtected, description)

internal fun Stats.asStats() =
    TwinpathStats(
        mode.asMode(),
        modeReason,
        protection.asProtection(),
        active.asRole(),
        age.toKotlinDuration(),
        paths.map {
            PathStats(
                it.role.asRole(),
                it.`interface`,
                it.kind?.asKind(),
                it.sent.toLong(),
                it.received.toLong(),
                it.roundTrip?.toKotlinDuration(),
                it.isUp,
            )
        },
        hedges.toInt(),
        failovers.toInt(),
        failbacks.toInt(),
        worstStall.toKotlinDuration(),
        written.toLong(),
        acknowledged.toLong(),
        read.toLong(),
    )

internal fun Summary.asSummary() =
    TwinpathSummary(
        mode.asMode(),
        duration.toKotlinDuration(),
        protected.toKotlinDuration(),
        unprotected.associate { it.reason to it.duration.toKotlinDuration() },
        hedges.toInt(),
        needlessHedges.toInt(),
        failovers.toInt(),
        failbacks.toInt(),
        worstStall.toKotlinDuration(),
        paths.map {
            PathSummary(it.role.asRole(), it.kind?.asKind(), it.cost.asCost(), it.sent.toLong(), it.received.toLong())
        },
        written.toLong(),
        read.toLong(),
        error?.asErrorKind(),
    )

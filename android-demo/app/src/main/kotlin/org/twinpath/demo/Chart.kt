package org.twinpath.demo

import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import org.twinpath.Role

/** What the chart shows at one moment; nothing of it changes any more. */
data class Picture(
    /** Bytes of each bucket, both ways, the newest last. */
    val bars: List<Bar>,
    /** The moments worth a line, the oldest first. */
    val markers: List<Marker>,
    /** When the newest bar ends, on the clock of the markers. */
    val end: Duration,
    /** Bytes since the start, by role. */
    val primary: Long,
    val backup: Long,
) {
    data class Bar(val primary: Long, val backup: Long)

    data class Marker(val at: Duration, val kind: Kind, val stall: Duration?)

    enum class Kind { HEDGE, FAILOVER, FAILBACK }

    /** The highest bar. */
    val peak: Long get() = bars.maxOf { it.primary + it.backup }
}

/**
 * The bytes of the last minute by role, made of the totals that connections tell of themselves. It has no clock: whoever feeds
 * it says when. Not for several threads at once.
 */
class Chart {
    private class Seen(val marker: Picture.Marker, val connections: Set<String>)

    private val buckets = Role.entries.map { LongArray(BUCKETS) }
    private val carried = LongArray(Role.entries.size)
    private val totals = HashMap<String, LongArray>()
    private val markers = ArrayDeque<Seen>()
    private var newest = 0L

    /** Moves the window on. Time that goes back is taken for the newest bucket's. */
    fun advance(at: Duration) {
        val bucket = at / BUCKET
        for (passed in maxOf(newest + 1, bucket.toLong() - BUCKETS + 1)..bucket.toLong()) {
            buckets.forEach { it[(passed % BUCKETS).toInt()] = 0 }
        }
        newest = maxOf(newest, bucket.toLong())
        while (markers.isNotEmpty() && markers.first().marker.at <= end - WINDOW) markers.removeFirst()
    }

    /** A connection says what it has carried over paths of that role so far. A total that shrinks has begun anew. */
    fun count(connection: String, role: Role, total: Long, at: Duration) {
        advance(at)
        val known = totals.getOrPut(connection) { LongArray(Role.entries.size) }
        val more = if (total >= known[role.ordinal]) total - known[role.ordinal] else total
        known[role.ordinal] = total
        carried[role.ordinal] += more
        buckets[role.ordinal][(newest % BUCKETS).toInt()] += more
    }

    /** Nothing more will come of that connection. What it had carried stays. */
    fun forget(connection: String) {
        totals.remove(connection)
    }

    /** Something happened. What several connections say of it within a second is said once, with the longest stall. */
    fun mark(connection: String, kind: Picture.Kind, stall: Duration?, at: Duration) {
        advance(at)
        val same = markers.indexOfLast { it.marker.kind == kind && at - it.marker.at < SAME && connection !in it.connections }
        if (same >= 0) {
            val seen = markers[same]
            markers[same] = Seen(seen.marker.copy(stall = longer(seen.marker.stall, stall)), seen.connections + connection)
        } else {
            if (markers.size == MARKERS) markers.removeFirst()
            markers += Seen(Picture.Marker(at, kind, stall), setOf(connection))
        }
    }

    /** How long the stall was that the connection's last hedge or failover was about. */
    fun recovered(connection: String, stall: Duration) {
        val last = markers.indexOfLast { it.marker.kind != Picture.Kind.FAILBACK && connection in it.connections }
        if (last < 0) return
        val seen = markers[last]
        markers[last] = Seen(seen.marker.copy(stall = longer(seen.marker.stall, stall)), seen.connections)
    }

    fun picture(): Picture {
        val bars = (newest - BUCKETS + 1..newest).map {
            val place = Math.floorMod(it, BUCKETS)
            Picture.Bar(buckets[Role.PRIMARY.ordinal][place], buckets[Role.BACKUP.ordinal][place])
        }
        return Picture(bars, markers.map { it.marker }, end, carried[Role.PRIMARY.ordinal], carried[Role.BACKUP.ordinal])
    }

    private val end get() = BUCKET * (newest + 1).toDouble()

    private fun longer(one: Duration?, other: Duration?) = listOfNotNull(one, other).maxOrNull()

    companion object {
        val WINDOW: Duration = 60.seconds
        val BUCKET: Duration = 250.milliseconds
        const val BUCKETS: Int = 240
        const val MARKERS: Int = 100
        private val SAME = 1.seconds
    }
}

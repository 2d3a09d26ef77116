package org.twinpath.demo

import java.io.IOException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.joinAll
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull
import org.twinpath.Header
import org.twinpath.RequestSummary
import org.twinpath.Role
import org.twinpath.TwinpathConnection
import org.twinpath.TwinpathConnector
import org.twinpath.TwinpathEvent
import org.twinpath.TwinpathException
import org.twinpath.TwinpathHttpClient
import org.twinpath.TwinpathRequest
import org.twinpath.TwinpathResponse
import org.twinpath.TwinpathStats

/** Who hears of the work. All of it is called in the context of whoever runs the work. */
internal interface Desk {
    /** Everything is connected. */
    fun running()

    /** What a connection is and can claim. */
    fun stands(stats: TwinpathStats)

    /** The same of requests. */
    fun stands(summary: RequestSummary)

    /** What a connection has carried by now; with [isLast], nothing more will come of it. */
    fun carried(connection: String, totals: List<Pair<Role, Long>>, isLast: Boolean = false)

    fun happened(connection: String, event: TwinpathEvent)

    /** The same of requests: what was counted of them, [before] and [now]. */
    fun happened(connection: String, before: RequestSummary?, now: RequestSummary)

    fun echoed(delay: Duration)

    /** Something failed that is tried again. */
    fun failed(why: String)
}

/** Towards a gateway before an echo service: a stream and small messages, each on a connection of its own. */
internal suspend fun TwinpathConnector.workThroughGateway(host: String, port: Int, desk: Desk) {
    val open = linkedMapOf<String, TwinpathConnection>()
    try {
        val bulk = connect(host, port).also { open["bulk"] = it }
        val echo = connect(host, port).also { open["echo"] = it }
        desk.running()
        coroutineScope {
            open.forEach { (name, connection) ->
                launch { connection.events.collect { desk.happened(name, it) } }
                launch { every(TICK) { desk.carried(name, connection.totals()) } }
            }
            launch { every(TICK) { desk.stands(bulk.stats) } }
            launch(Dispatchers.Default) { every(PACE) { bulk.write(ByteArray(PIECE)) } }
            launch(Dispatchers.Default) { while (true) bulk.read() ?: throw ServiceEnded() }
            launch { every(ECHO_PACE) { desk.echoed(echo.roundTrip()) } }
        }
    } finally {
        withContext(NonCancellable) {
            open.map { (name, connection) ->
                launch {
                    connection.end()
                    desk.carried(name, connection.totals(), isLast = true)
                    connection.close()
                }
            }.joinAll()
        }
    }
}

private fun TwinpathConnection.totals() = stats.paths.map { it.role to it.sent + it.received }

private suspend fun TwinpathConnection.roundTrip(): Duration {
    val sent = TimeSource.Monotonic.markNow()
    write(ByteArray(ECHO))
    var missing = ECHO
    while (missing > 0) missing -= (read(missing) ?: throw ServiceEnded()).size
    return sent.elapsedNow()
}

/** What is behind the gateway has ended a connection: it is no echo service. */
internal class ServiceEnded : IOException()

/** In order, if the way to the gateway is good; at once, if it takes longer than somebody waits who wants to stop. */
private suspend fun TwinpathConnection.end() {
    try {
        val inOrder = withTimeoutOrNull(GRACE) {
            finish()
            while (read() != null) continue
        }
        if (inOrder == null) abort() else shutdown()
    } catch (_: TwinpathException) {
        // It is broken already, and was said to be.
    }
}

/** Towards any web server: a download, again and again, and small requests beside it. */
internal suspend fun TwinpathConnector.workOverHttp(url: String, desk: Desk): Unit =
    TwinpathHttpClient(this).use { client ->
        // The first answer decides whether there is anything to do.
        client.download(url, "download 0", desk)
        coroutineScope {
            launch { repeating(desk, REQUEST_PACE) { number -> client.download(url, "download $number", desk) } }
            launch { repeating(desk, PROBE_PACE) { number -> client.probe(url, "probe $number", desk) } }
        }
    }

private suspend fun TwinpathHttpClient.download(url: String, name: String, desk: Desk) =
    get(url).use { answer ->
        desk.running()
        answer.watched(name, desk) { withContext(Dispatchers.Default) { while (answer.read() != null) continue } }
        if (answer.status >= REFUSED) {
            desk.failed("HTTP ${answer.status}")
            delay(AFTER_FAILURE)
        }
    }

private suspend fun TwinpathHttpClient.probe(url: String, name: String, desk: Desk) {
    val sent = TimeSource.Monotonic.markNow()
    send(TwinpathRequest("GET", url, listOf(Header("Range", "bytes=0-0")))).use { answer ->
        desk.echoed(sent.elapsedNow())
        answer.watched(name, desk) { if (answer.status == PARTIAL) answer.bytes() }
    }
}

/** Tells of a request while [take] takes its answer, and once more at the end, however that comes. */
private suspend fun TwinpathResponse.watched(name: String, desk: Desk, take: suspend () -> Unit) = coroutineScope {
    var before: RequestSummary? = null
    fun tell(isLast: Boolean) {
        val now = summary
        desk.carried(name, now.paths.map { it.role to it.sent + it.received }, isLast)
        desk.happened(name, before, now)
        desk.stands(now)
        before = now
    }
    val watch = launch { every(TICK) { tell(isLast = false) } }
    try {
        take()
    } finally {
        withContext(NonCancellable) { watch.cancelAndJoin() }
        tell(isLast = true)
    }
}

private suspend fun repeating(desk: Desk, pace: Duration, request: suspend (Int) -> Unit) {
    var number = 0
    every(pace) {
        try {
            request(++number)
        } catch (failed: TwinpathException) {
            desk.failed(failed.kind.name)
            delay(AFTER_FAILURE)
        }
    }
}

/** Again and again, that long after the last time began, or later. */
private suspend fun every(pace: Duration, what: suspend CoroutineScope.() -> Unit): Nothing = coroutineScope {
    while (true) {
        val began = TimeSource.Monotonic.markNow()
        what()
        delay(pace - began.elapsedNow())
    }
    @Suppress("UNREACHABLE_CODE")
    error("it does not end")
}

/** Half a bucket of the chart, so that none is passed over. */
private val TICK = Chart.BUCKET / 2
internal const val PIECE = 16 * 1024
/** 6.5 Mbit/s each way: a good video call. Without it, the stream would fill every queue, and spend the budget in seconds. */
internal val PACE = 20.milliseconds
private const val ECHO = 64
private val ECHO_PACE = 100.milliseconds
private val REQUEST_PACE = 250.milliseconds
private val PROBE_PACE = 500.milliseconds
private val AFTER_FAILURE = 1.seconds
private val GRACE = 2.seconds
private const val PARTIAL = 206
private const val REFUSED = 400

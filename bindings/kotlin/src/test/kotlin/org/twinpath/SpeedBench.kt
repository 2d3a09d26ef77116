package org.twinpath

import java.nio.ByteBuffer
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes
import kotlinx.coroutines.async
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Test

/** What this language costs, beside Rust in the same run: not a test, and only run when it is named (`-Dtest=SpeedBench`). */
internal class SpeedBench {
    private suspend fun loopback(): TwinpathConnection {
        val (host, port) = checkNotNull(System.getenv("TWINPATH_LAB_LOOPBACK")).split(':')
        return connector().use { it.connect(host, port.toInt()) }
    }

    private fun number(size: Long): ByteArray = ByteBuffer.allocate(8).putLong(size).array()

    @Test
    fun `calls with data ready`() = inLab(5.minutes) {
        val data = pattern(PIECE)
        loopback().use { connection ->
            connection.write(number(0))
            val writes = rounds(2_000) { times ->
                // Once there is room for all of it.
                while (connection.stats.acknowledged < connection.stats.written) delay(1)
                repeat(3) { times += micros { connection.write(data) } }
            }
            report("write 64 KiB", writes, 30.0)
        }
        loopback().use { connection ->
            // Its echoes: three pieces are there, and nothing else is going on.
            val three = pattern(3 * PIECE)
            suspend fun ready(read: suspend () -> Int) = rounds(1_000) { times ->
                connection.write(three)
                delay(8)
                var left = three.size
                while (left > 0) {
                    var size = 0
                    val took = micros { size = read() }
                    left -= size
                    if (size == PIECE) times += took
                }
            }
            connection.write(number(-1))
            val reads = ready { checkNotNull(connection.read(PIECE)).size }
            report("read 64 KiB", reads, 130.0)
            val bare = ready { connection.ffi.tryRead(PIECE.toUInt()).size }
            compare("read 64 KiB", reads, bare)
            connection.abort()
        }
        loopback().use { connection ->
            val (mine, bare) = List(2) { mutableListOf<Double>() }
            repeat(3_000) {
                mine += micros { connection.stats }
                bare += micros { connection.ffi.stats() }
            }
            compare("stats", mine.drop(1_000), bare.drop(1_000))
            val (summaries, bareSummaries) = List(2) { mutableListOf<Double>() }
            repeat(3_000) {
                summaries += micros { connection.summary }
                bareSummaries += micros { connection.ffi.summary() }
            }
            compare("summary", summaries.drop(1_000), bareSummaries.drop(1_000))
        }
        connector().use { connector ->
            val (mine, bare) = List(2) { mutableListOf<Double>() }
            repeat(3_000) {
                mine += micros { connector.budget }
                bare += micros { connector.ffi.budget() }
            }
            compare("budget", mine.drop(1_000), bare.drop(1_000))
        }
    }

    @Test
    fun `a download over the loopback`() = inLab(5.minutes) {
        val size = 400_000_000L
        val (into, mine, rust) = List(3) { mutableListOf<Double>() }
        val array = ByteArray(LARGE_PIECE)
        suspend fun download(read: suspend TwinpathConnection.() -> Int) = loopback().use { connection ->
            connection.write(number(size))
            size / micros {
                var left = size
                while (left > 0) left -= read(connection).also { check(it > 0) }
            }
        }
        repeat(DOWNLOADS) {
            into += download { read(array) }
            mine += download { checkNotNull(read()).size }
            rust += size / Lab.order("rust download $size").toDouble()
        }
        beside("download", into, rust)
        beside("download, an array for each read", mine, rust)
    }

    @Test
    fun `a download by http over the loopback`() = inLab(5.minutes) {
        val size = 400_000_000L
        val source = checkNotNull(System.getenv("TWINPATH_LAB_WEB"))
        val (into, mine, rust) = List(3) { mutableListOf<Double>() }
        val array = ByteArray(LARGE_PIECE)
        TwinpathHttpClient(anyServer()).use { client ->
            suspend fun download(read: suspend (TwinpathResponse) -> Int) = client.get("$source$size").use { response ->
                val took = micros { while (read(response) >= 0) Unit }
                check(response.progress.received == size)
                size / took
            }
            repeat(DOWNLOADS) {
                into += download { it.read(array) }
                mine += download { it.read()?.size ?: -1 }
                rust += size / Lab.order("rust fetch $size").toDouble()
            }
        }
        beside("download by HTTP", into, rust)
        beside("download by HTTP, an array for each read", mine, rust)
    }

    private fun beside(what: String, all: List<Double>, others: List<Double>) {
        // While the first ones run, the JVM compiles.
        val (mine, rust) = listOf(all, others).map { it.drop(DOWNLOADS / 3) }
        println("$what: ${"%.0f".format(median(mine))} MB/s, Rust ${"%.0f".format(median(rust))} MB/s, ${ratio(mine, rust)} (0.8)")
    }

    @Test
    fun `the stall when wifi falls silent`() = inLab(5.minutes) {
        val (mine, rust) = List(2) { mutableListOf<Double>() }
        repeat(9) {
            mine += stall() / 1000
            Lab.order("wifi heal")
            rust += Lab.order("rust stall").toDouble() / 1000
        }
        println("stall: ${"%.0f".format(median(mine))} ms, worst ${"%.0f".format(mine.max())}; Rust ${"%.0f".format(median(rust))} ms, worst ${"%.0f".format(rust.max())} (20 ms apart)")
    }

    /** The longest time for an echo of what is said every 10 ms, in microseconds. */
    private suspend fun stall(): Double = kotlinx.coroutines.coroutineScope {
        connector().use { it.toGateway() }.use { connection ->
            while (!connection.stats.protection.isProtected) delay(1)
            val said = java.util.concurrent.ConcurrentLinkedQueue<Long>()
            var isOver = false
            val heard = async {
                var worst = 0.0
                while (true) {
                    connection.readExactly(100)
                    worst = maxOf(worst, (System.nanoTime() - said.remove()) / 1000.0)
                    if (isOver && said.isEmpty()) return@async worst
                }
                @Suppress("UNREACHABLE_CODE")
                worst
            }
            val striking = launch {
                delay(500)
                Lab.order("wifi blackhole")
                delay(1000)
                isOver = true
            }
            while (striking.isActive) {
                said += System.nanoTime()
                connection.write(ByteArray(100))
                delay(10.milliseconds)
            }
            // So that there is an echo after the end.
            said += System.nanoTime()
            connection.write(ByteArray(100))
            heard.await().also { connection.abort() }
        }
    }

    private suspend fun rounds(count: Int, round: suspend (MutableList<Double>) -> Unit): List<Double> {
        val times = mutableListOf<Double>()
        repeat(count) { round(times) }
        return times.drop(times.size / 3)
    }

    private inline fun micros(call: () -> Unit): Double {
        val began = System.nanoTime()
        call()
        return (System.nanoTime() - began) / 1000.0
    }

    private fun median(all: List<Double>) = all.sorted().let { it[it.size / 2] }

    private fun ratio(one: List<Double>, other: List<Double>) = "%.2f".format(median(one) / median(other))

    private fun report(what: String, times: List<Double>, limit: Double) =
        println("$what: ${"%.1f".format(median(times))} µs ($limit)")

    private fun compare(what: String, mine: List<Double>, bare: List<Double>) =
        println("$what: ${"%.1f".format(median(mine))} µs, bare ${"%.1f".format(median(bare))} µs, ${ratio(mine, bare)} (1.2)")

    private companion object {
        const val DOWNLOADS = 9
    }
}

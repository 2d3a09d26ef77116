package org.twinpath

import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import kotlin.system.measureTimeMillis
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeoutOrNull
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

internal class ConnectionTest {
    @Test
    fun `a stream survives wifi falling silent and goes back to it`() = inLab {
        val data = pattern(12_000_000)
        val (events, summary) = coroutineScope {
            val connection = connector().use { it.toGateway() }
            val events = async { connection.events.toList() }
            val halfway = CompletableDeferred<Unit>()
            launch {
                connection.write(data, 0, data.size / 2)
                halfway.complete(Unit)
                connection.write(data, data.size / 2)
                connection.finish()
            }
            val first = connection.readExactly(data.size / 4)
            Lab.order("wifi blackhole")
            val second = connection.readExactly(data.size / 4)
            halfway.await()
            assertEquals(1, connection.stats.failovers)
            assertEquals(Role.BACKUP, connection.stats.active)
            Lab.order("wifi heal")
            val rest = connection.readExactly(data.size - data.size / 4 * 2)
            assertEquals(hash(data), hash(first + second + rest))
            assertNull(connection.read())
            connection.stats.paths.forEach { assertTrue(it.received > 1_000_000, "$it") }
            val summary = connection.shutdown()
            events.await() to summary
        }
        assertEquals(Mode.EMULATED, summary.mode)
        assertNull(summary.error)
        assertEquals(data.size.toLong(), summary.written)
        assertEquals(data.size.toLong(), summary.read)
        assertTrue(summary.worstStall < 1000.milliseconds, "${summary.worstStall}")
        val order = events.map { it::class.simpleName }
        assertTrue(order.indexOf("Established") < order.indexOf("Failover"), "$order")
        assertEquals("Ended", order.last())
        assertEquals(summary, (events.last() as TwinpathEvent.Ended).summary)
        val failover = events.filterIsInstance<TwinpathEvent.Failover>().single()
        assertEquals(PathName(Role.PRIMARY, "wlan0"), failover.from)
        assertEquals(PathName(Role.BACKUP, "wwan0"), failover.to)
    }

    @Test
    fun `traffic goes back to wifi once it has healed`() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            val seen = ConcurrentLinkedQueue<TwinpathEvent>()
            launch { connection.events.collect(seen::add) }
            connection.write("one".toByteArray())
            connection.readExactly(3)
            Lab.order("wifi blackhole")
            suspend fun echoUntil(isOver: () -> Boolean) {
                while (!isOver()) {
                    connection.write("more".toByteArray())
                    connection.readExactly(4)
                    delay(20)
                }
            }
            echoUntil { seen.any { it is TwinpathEvent.Failover } }
            Lab.order("wifi heal")
            echoUntil { seen.any { it is TwinpathEvent.Failback } }
            assertEquals(Role.PRIMARY, connection.stats.active)
            connection.shutdown()
        }
    }

    @Test
    fun `while wifi is good a cold backup carries nothing`() = inLab {
        // By its own account: what other tests have left may still be ending.
        connector(Standby.COLD).use { it.toGateway() }.use { connection ->
            connection.write(pattern(1_000_000))
            connection.readExactly(1_000_000)
            val backup = connection.shutdown().paths.single { it.role == Role.BACKUP }
            assertEquals(0L to 0L, backup.sent to backup.received)
        }
    }

    @Test
    fun `a cancelled read returns at once and loses no byte`() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            val data = pattern(2_000_000)
            launch { connection.write(data) }
            var got = byteArrayOf()
            repeat(200) {
                withTimeoutOrNull(it % 5L) {
                    while (true) got += checkNotNull(connection.read(20_000))
                }
            }
            assertArrayEquals(data, got + connection.readExactly(data.size - got.size))
            val waiting = launch { connection.read() }
            delay(50)
            val took = measureTimeMillis { waiting.cancelAndJoin() }
            assertTrue(took < 100, "$took ms")
            connection.write("still".toByteArray())
            assertEquals("still", connection.readExactly(5).decodeToString())
        }
    }

    @Test
    fun `an array is filled with what there is and nothing else of it is touched`() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            val data = pattern(2_000_000)
            launch {
                connection.write(data)
                connection.finish()
            }
            val got = ByteArray(data.size + 20)
            var size = 0
            for (round in 0 until 200) {
                withTimeoutOrNull(round % 5L) {
                    while (size < data.size) size += connection.read(got, 10 + size, minOf(20_000, data.size - size))
                }
            }
            while (size < data.size) size += connection.read(got, 10 + size, data.size - size).also { assertTrue(it > 0) }
            assertArrayEquals(ByteArray(10) + data + ByteArray(10), got)
            assertEquals(0, connection.read(got, 0, 0))
            assertEquals(-1, connection.read(got))
            assertEquals(-1, connection.read(got, got.size - 1))
            for ((offset, length) in listOf(-1 to 2, 0 to -1, 0 to got.size + 1, got.size to 1, Int.MAX_VALUE to Int.MAX_VALUE)) {
                assertThrows(IndexOutOfBoundsException::class.java) { runBlocking { connection.read(got, offset, length) } }
            }
            connection.abort()
            assertEquals(ErrorKind.CLOSED, failure { connection.read(got) }.kind)
        }
    }

    @Test
    fun `whoever waits is left alone until something comes and forgotten when it is given up`() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            repeat(1000) {
                val waiting = launch(start = CoroutineStart.UNDISPATCHED) { connection.read() }
                // On either side of where the other thread is.
                repeat(it % 50) { Thread.onSpinWait() }
                waiting.cancelAndJoin()
            }
            assertEquals(0, Waiting.count)
            val reading = async { connection.read(5) }
            while (Waiting.count == 0) delay(1)
            val begun = Waiting.begun
            delay(500)
            assertEquals(begun, Waiting.begun)
            connection.write("hello".toByteArray())
            assertEquals("hello", reading.await()?.decodeToString())
            assertEquals(0, Waiting.count)
        }
    }

    @Test
    fun `a cancelled write tells what was accepted and the connection goes on`() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            val data = pattern(32_000_000)
            val accepted = CompletableDeferred<Int>()
            val writing = launch {
                try {
                    connection.write(data)
                } catch (cancelled: WriteCancelledException) {
                    accepted.complete(cancelled.accepted)
                    throw cancelled
                }
            }
            // Nobody reads the echo, so that it has to wait.
            delay(500)
            val took = measureTimeMillis { writing.cancelAndJoin() }
            assertTrue(took < 100, "$took ms")
            val size = accepted.await()
            assertTrue(size in 1 until data.size, "$size")
            assertEquals(size.toLong(), connection.stats.written)
            assertEquals(hash(data.copyOf(size)), hash(connection.readExactly(size)))
            connection.write("after".toByteArray())
            assertEquals("after", connection.readExactly(5).decodeToString())
        }
    }

    @Test
    fun `a write that times out gives what timeouts give`() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            val data = pattern(32_000_000)
            assertNull(withTimeoutOrNull(300) { connection.write(data) })
            val size = connection.stats.written.toInt()
            assertTrue(size in 1 until data.size, "$size")
            assertEquals(hash(data.copyOf(size)), hash(connection.readExactly(size)))
        }
    }

    @Test
    fun `a cancelled connect leaves nothing open`() = inLab {
        Lab.order("wifi blackhole")
        Lab.order("cellular blackhole")
        connector().use { connector ->
            val before = openSockets()
            val connecting = launch { connector.toGateway() }
            delay(300)
            assertTrue(openSockets() > before)
            val took = measureTimeMillis { connecting.cancelAndJoin() }
            assertTrue(took < 100, "$took ms")
            while (openSockets() > before) delay(5)
        }
    }

    @Test
    fun `a suspended connection goes on when it is resumed`() = inLab {
        connector().use { connector ->
            connector.toGateway().use { connection ->
                connection.write("before".toByteArray())
                connection.readExactly(6)
                connector.suspend()
                while (connection.stats.paths.any { it.isUp }) delay(5)
                fun moved() = connection.stats.paths.sumOf { it.sent + it.received }
                val before = moved()
                connection.write("later".toByteArray())
                delay(500)
                assertEquals(before, moved())
                connector.resume()
                assertEquals("later", connection.readExactly(5).decodeToString())
            }
        }
    }

    @Test
    fun `closing from elsewhere ends what waits`() = inLab {
        val connection = connector().use { it.toGateway() }
        val reading = async { failure { connection.read() } }
        delay(100)
        val took = measureTimeMillis {
            connection.close()
            assertEquals(ErrorKind.CLOSED, reading.await().kind)
        }
        assertTrue(took < 100, "$took ms")
        connection.close()
    }

    @Test
    fun `a listener that nothing confines may ask and block`() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            val (told, free) = List(2) { CountDownLatch(1) }
            val listening = CoroutineScope(Dispatchers.Unconfined).launch {
                connection.events.filterIsInstance<TwinpathEvent.Hedge>().collect {
                    if (connection.stats.hedges > 0) told.countDown()
                    free.await()
                }
            }
            Lab.order("wifi blackhole")
            connection.write("hello".toByteArray())
            assertEquals("hello", connection.readExactly(5).decodeToString())
            assertTrue(told.await(5, TimeUnit.SECONDS))
            // It blocks, and nothing else does.
            connection.write("again".toByteArray())
            assertEquals("again", connection.readExactly(5).decodeToString())
            free.countDown()
            listening.cancelAndJoin()
        }
    }

    @Test
    fun `a reader that nothing confines may block`() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            val (told, free) = List(2) { CountDownLatch(1) }
            val reading = CoroutineScope(Dispatchers.Unconfined).launch {
                connection.read(1)
                told.countDown()
                free.await()
            }
            connection.write("hello".toByteArray())
            assertTrue(told.await(5, TimeUnit.SECONDS))
            assertEquals("ello", connection.readExactly(4).decodeToString())
            connection.write("again".toByteArray())
            assertEquals("again", connection.readExactly(5).decodeToString())
            free.countDown()
            reading.join()
        }
    }

    @Test
    fun `two that wait at once are both told of the end`() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            val reading = List(2) { async { connection.read() } }
            delay(100)
            connection.finish()
            reading.forEach { assertNull(it.await()) }
        }
    }

    @Test
    fun `an aborted connection fails typed and a closed one as well`() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            connection.abort()
            assertEquals(ErrorKind.CLOSED, failure { connection.write(byteArrayOf(1)) }.kind)
            assertEquals(ErrorKind.CLOSED, failure { connection.read() }.kind)
            connection.shutdown()
        }
    }
}

/** TCP sockets of this process. */
internal fun openSockets(): Int =
    checkNotNull(java.io.File("/proc/self/fd").listFiles()).count {
        runCatching { java.nio.file.Files.readSymbolicLink(it.toPath()).toString() }.getOrDefault("").startsWith("socket:")
    }

internal suspend fun failure(call: suspend () -> Unit): TwinpathException =
    try {
        call()
        throw AssertionError("it did not fail")
    } catch (failure: TwinpathException) {
        failure
    }

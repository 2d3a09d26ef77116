package org.twinpath

import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.nanoseconds
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.twinpath.faults.FaultInjection
import org.twinpath.faults.inject

internal class ErrorsTest {
    private suspend fun connecting(host: String, port: Int, options: TwinpathOptions.() -> Unit = {}) =
        failure { anyServer(options).use { it.connect(host, port) } }

    @Test
    fun `every way to fail has its kind and words`() = inLab {
        val host = Lab.gatewayHost
        val refused = connecting(host, 9)
        assertEquals(ErrorKind.REFUSED, refused.kind)
        assertNotNull(refused.osCode)
        assertEquals(ErrorKind.NAME_NOT_FOUND, connecting("no.such.name.invalid", 443).kind)
        assertEquals(ErrorKind.INVALID_INPUT, connecting("two words", 443).kind)
        assertEquals(
            ErrorKind.NO_INTERFACE,
            connecting(host, 443) { primary = listOf(InterfaceSelector.Named("no0")) }.kind,
        )
        Lab.order("wifi blackhole")
        Lab.order("cellular blackhole")
        val late = connecting(host, Lab.gatewayPort) { connectTimeout = 300.milliseconds }
        assertEquals(ErrorKind.TIMED_OUT, late.kind)
        assertTrue("check the address" in late.message.orEmpty(), late.message)
        assertEquals(
            ErrorKind.INVALID_INPUT,
            failure { TwinpathConnector { peer = Peer.GATEWAY; pin = ByteArray(31) } }.kind,
        )
        assertEquals(ErrorKind.INVALID_INPUT, failure { TwinpathConnector { pin = ByteArray(32) } }.kind)
        assertEquals(
            ErrorKind.UNSUPPORTED,
            failure { TwinpathConnector { mode = Mode.EMULATED } }.kind,
        )
        assertThrows(IllegalArgumentException::class.java) { TwinpathConnector { budgetPerDay = -1 } }
    }

    @Test
    fun `what is closed is refused wherever it is given`() {
        val connector = TwinpathConnector().apply { close() }
        assertEquals(ErrorKind.CLOSED, assertThrows(TwinpathException::class.java) { TwinpathHttpClient(connector) }.kind)
        val faults = FaultInjection().apply { close() }
        val failure = assertThrows(TwinpathException::class.java) { TwinpathConnector { inject(faults) } }
        assertEquals(ErrorKind.CLOSED, failure.kind)
    }

    @Test
    fun `what is negative is refused by its name`() {
        fun refused(name: String, call: () -> Unit) {
            val refusal = assertThrows(IllegalArgumentException::class.java) { call() }
            assertTrue(name in refusal.message.orEmpty(), "$refusal")
        }
        for (negative in listOf((-1).nanoseconds, (-1).milliseconds, -Duration.INFINITE)) {
            refused("connectTimeout") { TwinpathConnector { connectTimeout = negative } }
            refused("timeToLive") { TwinpathConnector { timeToLive = negative } }
            anyServer().use { connector ->
                refused("timeout") { TwinpathHttpClient(connector) { timeout = negative } }
                refused("hedgeAfter") { TwinpathHttpClient(connector) { hedgeAfter = negative } }
                val request = TwinpathRequest("GET", "http://192.0.2.1/", timeout = negative)
                TwinpathHttpClient(connector).use { refused("timeout") { runBlocking { it.send(request) } } }
            }
        }
    }

    @Test
    fun `half a character is refused in words`() {
        val host = "\uD83D.example"
        assertEquals(
            ErrorKind.INVALID_INPUT,
            assertThrows(TwinpathException::class.java) { runBlocking { anyServer().use { it.connect(host, 443) } } }.kind,
        )
    }

    @Test
    fun `a connect may be given all the time there is`() = inLab {
        connector { connectTimeout = Duration.INFINITE }.use { it.toGateway() }.close()
    }

    @Test
    fun `a gateway that is none and one with another key are told`() = inLab {
        val web = java.net.URI(Lab.http)
        val options: TwinpathOptions.() -> Unit = { peer = Peer.GATEWAY }
        anyServer(options).use { connector ->
            val connection = connector.connect(web.host, web.port)
            val failure = failure { connection.write(byteArrayOf(1)); while (true) connection.read() ?: break }
            assertEquals(ErrorKind.NOT_A_GATEWAY, failure.kind, "$failure")
        }
        val pinned: TwinpathOptions.() -> Unit = { peer = Peer.GATEWAY; pin = ByteArray(32) { 7 } }
        anyServer(pinned).use { connector ->
            val failure = failure {
                connector.toGateway().let { it.write(byteArrayOf(1)); it.read() }
            }
            assertEquals(ErrorKind.PIN_MISMATCH, failure.kind, "$failure")
        }
        val right: TwinpathOptions.() -> Unit = { pin = Lab.key; earlyData = true }
        connector(options = right).use { it.toGateway() }.use { connection ->
            connection.write("hello".toByteArray())
            assertEquals("hello", connection.readExactly(5).decodeToString())
        }
    }

    @Test
    fun `a lost path towards any server tells what arrived and gives a fresh leg`() = inLab {
        val web = java.net.URI(Lab.http)
        val options: TwinpathOptions.() -> Unit = { mode = Mode.PLAIN_PAIR; budgetPerDay = null }
        anyServer(options).use { connector ->
            connector.connect(web.host, web.port).use { connection ->
                val request = "GET /file?size=9000000&seed=1 HTTP/1.1\r\nhost: x\r\n\r\n".toByteArray()
                connection.write(request)
                connection.readExactly(2_000_000)
                Lab.order("wifi blackhole")
                val failure = failure { while (true) connection.read() ?: break }
                assertEquals(ErrorKind.INTERRUPTED, failure.kind)
                val lost = checkNotNull(failure.interruption)
                assertEquals(Role.PRIMARY, lost.role)
                assertEquals(request.size.toLong(), lost.written)
                // The kernel knows, of a socket of the library.
                assertEquals(if (legs == null) request.size.toLong() else null, lost.acknowledged)
                assertTrue(lost.read >= 2_000_000)
                connection.freshLeg().use { fresh ->
                    fresh.write(request)
                    assertEquals("HTTP/1.1 200 OK", fresh.readExactly(15).decodeToString())
                }
            }
        }
    }

    @Test
    fun `what may be spent is told and bounded`() = inLab {
        connector { budgetPerDay = 1_000_000 }.use { connector ->
            assertEquals(Budget(1_000_000, 0, 1_000_000), connector.budget)
            connector.setBudgetUsed(400_000)
            assertEquals(600_000L, connector.budget.remaining)
            connector.setBudget(null)
            assertEquals(null, connector.budget.perDay)
            connector.setDataSaving(true)
            assertEquals(0L, connector.budget.remaining)
            connector.setDataSaving(false)
        }
    }

    @Test
    fun `the log goes to the app`() = inLab {
        val lines = java.util.concurrent.ConcurrentLinkedQueue<String>()
        TwinpathLibrary.log(LogLevel.DEBUG) { level, module, line -> lines.add("$level $module $line") }
        try {
            connector().use { it.toGateway() }.use { it.write(byteArrayOf(1)); it.readExactly(1) }
            while (lines.none { it.startsWith("DEBUG twinpath") }) delay(5)
        } finally {
            TwinpathLibrary.log(LogLevel.OFF, null)
        }
        assertTrue(TwinpathLibrary.version.isNotEmpty())
    }
}

package org.twinpath.faults

import kotlin.system.measureTimeMillis
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.twinpath.Role
import org.twinpath.TwinpathConnection
import org.twinpath.TwinpathEvent
import org.twinpath.connector
import org.twinpath.hash
import org.twinpath.inLab
import org.twinpath.pattern
import org.twinpath.readExactly
import org.twinpath.toGateway

internal class FaultsTest {
    private val faults = FaultInjection()

    private suspend fun connection() = connector { inject(faults) }.use { it.toGateway() }

    private suspend fun TwinpathConnection.echo(): Long = measureTimeMillis {
        write("more".toByteArray())
        readExactly(4)
    }

    @Test
    fun `a blackhole on purpose moves a stream as a true one does, and it goes back when that is over`() = inLab {
        val data = pattern(8_000_000)
        connection().use { connection ->
            val writing = launch { connection.write(data) }
            val first = connection.readExactly(data.size / 4)
            faults.set(Role.PRIMARY, Fault.Blackhole)
            val second = connection.readExactly(data.size / 4)
            assertEquals(Role.BACKUP, connection.stats.active)
            val back = async { connection.events.filterIsInstance<TwinpathEvent.Failback>().first() }
            faults.set(Role.PRIMARY, null)
            val rest = connection.readExactly(data.size / 2)
            assertEquals(hash(data), hash(first + second + rest))
            writing.join()
            while (!back.isCompleted) connection.echo()
            assertEquals(Role.PRIMARY, connection.stats.active)
            assertTrue(connection.stats.worstStall < 1000.milliseconds, "${connection.stats.worstStall}")
        }
    }

    @Test
    fun `a reset on purpose loses nothing`() = inLab {
        connection().use { connection ->
            connection.echo()
            val left = async { connection.events.filterIsInstance<TwinpathEvent.Failover>().first() }
            while (!left.isCompleted) {
                faults.reset(Role.PRIMARY)
                connection.echo()
            }
            assertEquals(Role.PRIMARY, left.await().from.role)
        }
    }

    @Test
    fun `a delay on purpose is seen as a delay`() = inLab {
        connection().use { connection ->
            repeat(5) { connection.echo() }
            faults.set(Role.PRIMARY, Fault.Delay(100.milliseconds))
            faults.set(Role.BACKUP, Fault.Delay(100.milliseconds))
            val took = connection.echo()
            assertTrue(took >= 200, "$took ms")
        }
    }
}

package org.twinpath.demo

import java.io.File
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.twinpath.ServiceType
import org.twinpath.TwinpathConnector
import org.twinpath.demo.Picture.Kind

/** What the app does, over real links with real faults; only its connectors are not tied to a device. */
internal class DemoTest {
    private val demo = Demo { options -> TwinpathConnector(options) }

    /** How long each part of the story takes at least; longer for a picture to show. */
    private val part = Integer.getInteger("twinpath.part", 0).seconds

    private fun inLab(test: suspend CoroutineScope.() -> Unit) {
        try {
            runBlocking(Dispatchers.Default) { withTimeout(50.seconds + part * 4) { test() } }
        } finally {
            runBlocking { demo.stop().join() }
            Lab.order("wifi heal")
            Lab.order("cellular heal")
        }
    }

    private suspend fun await(what: String, condition: Screen.() -> Boolean): Screen = try {
        withTimeout(20.seconds) { demo.screen.first { it.condition() } }
    } catch (late: TimeoutCancellationException) {
        throw AssertionError("not seen: $what; ${demo.screen.value.run { state to log.map { Res.say(it) } }}", late)
    }

    private fun Screen.has(kind: Kind) = picture.markers.any { it.kind == kind }

    private suspend fun flows(bytes: Long = 400_000) {
        val before = demo.screen.value.picture.run { primary + backup }
        await("bytes that go on") { picture.primary + picture.backup > before + bytes }
    }

    private suspend fun start(server: String) {
        demo.start(server, ServiceType.HANDOVER).join()
        await("running") { state == State.Running }
    }

    private suspend fun stop(): Screen {
        demo.stop().join()
        return await("stopped") { !state.isActive }
    }

    /** The story of the markers: each kind, in this order, and no stall that a person would notice. */
    private fun Screen.hasStory() {
        val kinds = picture.markers.map { it.kind }.distinct()
        assertEquals(listOf(Kind.HEDGE, Kind.FAILOVER, Kind.FAILBACK), kinds, "${picture.markers}")
        val stalls = picture.markers.mapNotNull { it.stall }
        assertTrue(stalls.isNotEmpty() && stalls.all { it > Duration.ZERO && it < 1.seconds }, "${picture.markers}")
    }

    /**
     * What went over a link (payload of TCP, with what the kernels repeated) against what the chart counted. A leg that dies
     * leaves behind what it was given while nobody had noticed: counted, but never on the link. What was on its way, at most a
     * queue of the lab for each connection, may be on the link twice. Everything else has to agree within a hundredth.
     */
    private fun isAbout(link: Long, counted: Long, stuck: Long) {
        val repeated = 2L * 128 * 1024
        assertTrue(link - counted < repeated + link / 100, "$link on the link, $counted in the chart")
        assertTrue(counted - link < stuck + link / 100, "$link on the link, $counted in the chart, $stuck stuck")
    }

    private fun payload(link: String) = Lab.order("$link payload").toLong()

    @Test
    fun `Wi-Fi dies and heals, the bytes go on, and the chart tells what the links have seen`() = inLab {
        val (wifi, cellular) = payload("wifi") to payload("cellular")
        start(Lab.gateway)
        // A screen that is turned: one watcher goes, another comes, and the session is the same.
        val watcher = launch { demo.screen.collect {} }
        flows()
        delay(part * 2)
        watcher.cancel()
        val before = demo.screen.first()
        assertEquals(State.Running, before.state)
        // A busy machine may be suspected for a moment.
        assertTrue(before.picture.run { backup < primary / 10 }, "cellular has nothing to do while Wi-Fi is good")
        Lab.order("wifi blackhole")
        val died = TimeSource.Monotonic.markNow()
        await("failover") { has(Kind.FAILOVER) }
        val unnoticed = died.elapsedNow()
        flows()
        delay(part)
        Lab.order("wifi heal")
        await("failback") { has(Kind.FAILBACK) }
        flows()
        delay(part)
        await("protection") { mode?.arguments?.first() == Words(R.string.mode_emulated) }
        File("../target/screen.svg").writeText(svg(demo.screen.value, Lab.gateway, isNight = false))
        File("../target/screen-dark.svg").writeText(svg(demo.screen.value, Lab.gateway, isNight = true))
        val end = stop()
        end.hasStory()
        val stuck = (unnoticed / PACE * PIECE).toLong()
        isAbout(payload("wifi") - wifi, end.picture.primary, stuck)
        isAbout(payload("cellular") - cellular, end.picture.backup, 0)
        assertTrue(end.picture.primary > before.picture.primary && end.picture.backup > 0)
        println("Wi-Fi: ${payload("wifi") - wifi} on the link, ${end.picture.primary} counted, at most $stuck stuck")
        println("cellular: ${payload("cellular") - cellular} on the link, ${end.picture.backup} counted")
        println(end.picture.markers.map { "${it.kind} ${it.stall ?: ""}" })
    }

    @Test
    fun `a silence on purpose tells the same story as a true one`() = inLab {
        start(Lab.gateway)
        flows()
        demo.make(Trouble.SILENT).join()
        await("failover") { has(Kind.FAILOVER) }
        flows()
        demo.make(Trouble.NONE).join()
        await("failback") { has(Kind.FAILBACK) }
        flows()
        stop().hasStory()
    }

    @Test
    fun `resets on purpose are survived, and are over at once`() = inLab {
        start(Lab.gateway)
        flows()
        demo.make(Trouble.RESET).join()
        await("legs that are gone") { log.any { R.string.log_leg_down in it.ids() } }
        flows()
        assertEquals(Trouble.NONE, demo.screen.value.trouble)
        assertEquals(State.Running, demo.screen.value.state)
    }

    @Test
    fun `a delay on purpose is seen in the answers or leads them over cellular`() = inLab {
        start(Lab.gateway)
        flows()
        demo.make(Trouble.DELAY).join()
        await("late answers, or a failover") { (echo?.arguments?.first() as Long) >= 300 || has(Kind.FAILOVER) }
    }

    @Test
    fun `a download from any web server goes on when Wi-Fi dies`() = inLab {
        start("${Lab.http}file?size=4000000&seed=5")
        flows()
        await("small answers") { echo != null }
        Lab.order("wifi blackhole")
        val moved = await("failover") { has(Kind.FAILOVER) && picture.backup > 400_000 }
        assertEquals(State.Running, moved.state)
        assertTrue(moved.picture.markers.all { (it.stall ?: Duration.ZERO) < 2.seconds }, "${moved.picture.markers}")
        Lab.order("wifi heal")
        val primary = moved.picture.primary
        await("bytes on Wi-Fi again") { picture.primary > primary + 400_000 }
        stop()
    }

    @Test
    fun `what a web server refuses is said, and asked for again`() = inLab {
        start("${Lab.http}status?code=404&times=9")
        val said = await("refusals") { log.count { "HTTP 404" in Res.say(it) } > 1 }
        assertEquals(State.Running, said.state)
        stop()
    }

    @Test
    fun `nothing runs once it is stopped, and it can be started again`() = inLab {
        repeat(2) {
            start(Lab.gateway)
            flows()
            stop()
            val quiet = payload("wifi")
            // That nothing comes can only be seen by waiting.
            delay(500.milliseconds)
            assertEquals(quiet, payload("wifi"))
        }
        demo.stop().join()
        assertEquals(State.Stopped, demo.screen.value.state)
    }

    @Test
    fun `it can be stopped while no path leads anywhere`() = inLab {
        start(Lab.gateway)
        flows()
        Lab.order("wifi blackhole")
        Lab.order("cellular blackhole")
        stop()
    }

    @Test
    fun `what cannot be reached is said in words, and the log names no host`() = inLab {
        demo.start("nonsense", ServiceType.HANDOVER).join()
        assertEquals(State.Failed(Words(R.string.bad_server)), await("failure") { state is State.Failed }.state)
        val closed = Lab.gateway.substringBeforeLast(':') + ":9"
        demo.start(closed, ServiceType.HANDOVER).join()
        await("connecting") { state == State.Connecting || log.isNotEmpty() }
        val failed = await("failure") { (state as? State.Failed)?.why?.id == R.string.failed }
        assertTrue(Res.say((failed.state as State.Failed).why).length > 20)
        start(Lab.gateway)
        flows()
        val log = stop().log.map { Res.say(it) }
        assertTrue(log.size > 3)
        assertFalse(log.any { Lab.gateway.substringBeforeLast(':') in it || Regex("\\d+\\.\\d+\\.\\d+").containsMatchIn(it) }, "$log")
    }

    @Test
    fun `the budget is what was chosen, also while it runs, and the log stays short`() = inLab {
        demo.allow(1_000_000).join()
        start(Lab.gateway)
        flows()
        assertEquals(Words(R.string.megabytes, 1.0), demo.screen.value.budget.arguments.last())
        demo.allow(null).join()
        await("no limit") { budget.arguments.last() == Words(R.string.no_limit) }
        repeat(Demo.LINES) { demo.make(Trouble.DELAY).join() }
        repeat(Demo.LINES) { demo.make(Trouble.NONE).join() }
        assertEquals(Demo.LINES, demo.screen.value.log.size)
    }

    private fun Words.ids(): List<Int> = listOf(id) + arguments.filterIsInstance<Words>().flatMap { it.ids() }
}

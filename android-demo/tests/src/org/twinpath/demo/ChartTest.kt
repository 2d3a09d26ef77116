package org.twinpath.demo

import kotlin.random.Random
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.twinpath.Role
import org.twinpath.demo.Picture.Kind

internal class ChartTest {
    private val chart = Chart()

    private fun Picture.sum() = bars.sumOf { it.primary + it.backup }

    @Test
    fun `bytes are in the bucket of their time and under their role`() {
        chart.count("a", Role.PRIMARY, 100, 0.seconds)
        chart.count("a", Role.PRIMARY, 150, 240.milliseconds)
        chart.count("a", Role.BACKUP, 7, 250.milliseconds)
        val (first, second) = chart.picture().bars.takeLast(2)
        assertEquals(Picture.Bar(150, 0), first)
        assertEquals(Picture.Bar(0, 7), second)
        assertEquals(Chart.BUCKETS, chart.picture().bars.size)
        assertEquals(150L, chart.picture().peak)
    }

    @Test
    fun `the window moves on and forgets what is older than a minute`() {
        chart.count("a", Role.PRIMARY, 100, 1.seconds)
        chart.mark("a", Kind.HEDGE, null, 1.seconds)
        chart.advance(60.seconds)
        assertEquals(100, chart.picture().sum())
        assertEquals(1, chart.picture().markers.size)
        chart.advance(61.seconds)
        assertEquals(0, chart.picture().sum())
        assertEquals(emptyList<Picture.Marker>(), chart.picture().markers)
        assertEquals(100, chart.picture().primary)
    }

    @Test
    fun `a leap of an hour leaves nothing behind`() {
        chart.count("a", Role.PRIMARY, 100, 1.seconds)
        chart.count("a", Role.PRIMARY, 130, 60.minutes)
        assertEquals(30, chart.picture().sum())
        assertEquals(Picture.Bar(30, 0), chart.picture().bars.last())
    }

    @Test
    fun `time that goes back loses nothing`() {
        chart.count("a", Role.PRIMARY, 100, 10.seconds)
        chart.count("a", Role.PRIMARY, 130, 9.seconds)
        assertEquals(Picture.Bar(130, 0), chart.picture().bars.last())
    }

    @Test
    fun `a connection that ends and one that takes its name lose and invent nothing`() {
        chart.count("a", Role.PRIMARY, 100, 1.seconds)
        chart.forget("a")
        chart.count("a", Role.PRIMARY, 40, 2.seconds)
        assertEquals(140, chart.picture().sum())
    }

    @Test
    fun `whatever totals come, no bar is negative and the bars make up the whole`() {
        val random = Random(1)
        repeat(2000) { step ->
            val role = Role.entries.random(random)
            chart.count("${random.nextInt(5)}", role, random.nextLong(1_000_000), (step * 20).milliseconds)
            if (random.nextInt(10) == 0) chart.forget("${random.nextInt(5)}")
            val picture = chart.picture()
            assertTrue(picture.bars.all { it.primary >= 0 && it.backup >= 0 })
            assertEquals(picture.primary + picture.backup, picture.sum())
        }
    }

    @Test
    fun `what two connections say of the same moment is one marker with the longest stall`() {
        chart.mark("a", Kind.FAILOVER, 90.milliseconds, 1.seconds)
        chart.mark("b", Kind.FAILOVER, 120.milliseconds, 1200.milliseconds)
        chart.mark("a", Kind.FAILOVER, 50.milliseconds, 1500.milliseconds)
        chart.mark("b", Kind.FAILOVER, 60.milliseconds, 5.seconds)
        assertEquals(listOf(120L, 50L, 60L), chart.picture().markers.map { it.stall?.inWholeMilliseconds })
        chart.recovered("a", 80.milliseconds)
        assertEquals(listOf(120L, 80L, 60L), chart.picture().markers.map { it.stall?.inWholeMilliseconds })
    }

    @Test
    fun `markers are bounded and the newest stay`() {
        repeat(500) { chart.mark("$it", Kind.HEDGE, null, 10.seconds + (it * 2).milliseconds) }
        repeat(500) { chart.mark("a", Kind.FAILBACK, null, 12.seconds + (it * 2).milliseconds) }
        val markers = chart.picture().markers
        assertEquals(Chart.MARKERS, markers.size)
        assertEquals(Kind.FAILBACK, markers.last().kind)
    }

    @Test
    fun `labels of failovers and failbacks have a place however many hedges there are`() {
        repeat(200) { chart.mark("a", Kind.HEDGE, null, 20.seconds + (it * 10).milliseconds) }
        chart.mark("a", Kind.FAILOVER, 100.milliseconds, 22.seconds)
        chart.mark("a", Kind.FAILBACK, null, 23.seconds)
        val labels = shapes(chart.picture(), 300f, 200f, 12f).filterIsInstance<Shape.Label>().map { it.words.id }
        assertTrue(labels.containsAll(listOf(R.string.failover_after, R.string.failback)))
    }

    @Test
    fun `everything is drawn inside of the surface, also with more markers than labels have place`() {
        repeat(40) { second ->
            chart.count("a", Role.PRIMARY, second * 1000L, second.seconds)
            chart.mark("a", Kind.entries[second % 3], 100.milliseconds, second.seconds)
        }
        for (shape in shapes(chart.picture(), 300f, 200f, 12f)) {
            val (x, y) = when (shape) {
                is Shape.Box -> listOf(shape.left, shape.right) to listOf(shape.top, shape.bottom)
                is Shape.Line -> listOf(shape.x) to listOf(shape.top, shape.bottom)
                is Shape.Label -> listOf(shape.x) to listOf(shape.y)
            }
            assertTrue(x.all { it in -0.01f..300.01f } && y.all { it in 0f..200f }, "$shape")
        }
    }
}

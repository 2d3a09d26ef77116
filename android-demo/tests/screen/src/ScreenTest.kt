package org.twinpath.demo

import android.content.res.Configuration
import android.graphics.Bitmap
import android.graphics.Canvas
import android.view.View
import android.view.ViewGroup
import android.view.accessibility.AccessibilityNodeInfo
import android.widget.Button
import android.widget.EditText
import android.widget.Spinner
import android.widget.TextView
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertSame
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadows.ShadowLooper
import org.twinpath.Role

/** The real screen, drawn by Android's own code on this machine; what is connected is not asked for. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = [35], qualifiers = "w400dp-h1000dp-xhdpi")
class ScreenTest {
    private fun views(of: View): List<View> =
        listOf(of) + if (of is ViewGroup) (0 until of.childCount).flatMap { views(of.getChildAt(it)) } else emptyList()

    private fun MainActivity.all() = views(window.decorView)

    private fun MainActivity.draw(name: String) {
        val page = window.decorView
        val bitmap = Bitmap.createBitmap(page.width, page.height, Bitmap.Config.ARGB_8888)
        page.draw(Canvas(bitmap))
        File(System.getProperty("screens"), "screen-$name.png").outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
    }

    private fun screen() = Robolectric.buildActivity(MainActivity::class.java).setup()

    @Test
    fun `the screen in English by day`() = shown("day", "Start")

    @Test
    @Config(qualifiers = "+fr-night")
    fun `the screen in French by night`() = shown("night-fr", "Démarrer")

    private fun shown(name: String, start: String) {
        val activity = screen().get()
        val views = activity.all()
        assertTrue(views.any { it is Button && it.text.toString() == start })
        for (view in views.filter { it.isFocusable && it.isShown && it !is ViewGroup || it is Spinner }) {
            val says = listOf(view.contentDescription, (view as? TextView)?.text, (view as? EditText)?.hint)
            val isLabelled = views.any { it is TextView && it.labelFor == view.id }
            assertTrue("$view says nothing", isLabelled || says.any { !it.isNullOrEmpty() })
            val least = 48 * activity.resources.displayMetrics.density
            assertTrue("$view is ${view.height} pixels high", view.height >= least)
        }
        val chart = views.filterIsInstance<ChartView>().single()
        val node = AccessibilityNodeInfo()
        chart.onInitializeAccessibilityNodeInfo(node)
        assertTrue("${node.contentDescription}", node.contentDescription.contains("Wi-Fi"))
        val picture = Chart()
        repeat(240) {
            val role = if (it in 100..160) Role.BACKUP else Role.PRIMARY
            picture.count("$it", role, 100_000L + it % 7 * 9_000, Chart.BUCKET * it)
        }
        picture.mark("a", Picture.Kind.HEDGE, null, Chart.BUCKET * 98)
        picture.mark("a", Picture.Kind.FAILOVER, Chart.BUCKET / 2, Chart.BUCKET * 101)
        picture.mark("a", Picture.Kind.FAILBACK, null, Chart.BUCKET * 160)
        chart.picture = picture.picture()
        ShadowLooper.idleMainLooper()
        activity.draw(name)
    }

    @Test
    fun `a screen that is turned keeps what was typed, and the session is the same`() {
        val controller = screen()
        val before = controller.get()
        before.all().filterIsInstance<EditText>().single().setText("gateway.example:443")
        val demo = (before.application as DemoApplication).demo
        val turned = Configuration(before.resources.configuration).apply { orientation = Configuration.ORIENTATION_LANDSCAPE }
        controller.configurationChange(turned)
        val after = controller.get()
        assertTrue(after !== before)
        assertEquals("gateway.example:443", after.all().filterIsInstance<EditText>().single().text.toString())
        assertSame(demo, (after.application as DemoApplication).demo)
    }
}

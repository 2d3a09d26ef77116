package org.twinpath.demo

import android.content.Context
import android.graphics.Canvas
import android.graphics.DashPathEffect
import android.graphics.Paint
import android.util.TypedValue
import android.view.View
import android.view.accessibility.AccessibilityNodeInfo

/** Draws the chart; to those who do not see it, it says what it shows. */
class ChartView(context: Context) : View(context) {
    var picture: Picture = Chart().picture()
        set(value) {
            field = value
            invalidate()
        }

    private val box = Paint()
    private val line = Paint().apply { pathEffect = DashPathEffect(floatArrayOf(6f, 6f), 0f) }
    private val text = Paint(Paint.ANTI_ALIAS_FLAG).apply { textSize = sp(12f) }

    init {
        importantForAccessibility = IMPORTANT_FOR_ACCESSIBILITY_YES
        line.strokeWidth = sp(1.5f)
        line.style = Paint.Style.STROKE
    }

    override fun onDraw(canvas: Canvas) {
        for (shape in shapes(picture, width.toFloat(), height.toFloat(), text.textSize)) {
            when (shape) {
                is Shape.Box -> {
                    box.color = context.getColor(shape.colour)
                    canvas.drawRect(shape.left, shape.top, shape.right, shape.bottom, box)
                }
                is Shape.Line -> {
                    line.color = context.getColor(shape.colour)
                    canvas.drawLine(shape.x, shape.top, shape.x, shape.bottom, line)
                }
                is Shape.Label -> {
                    text.color = context.getColor(shape.colour)
                    text.textAlign = if (shape.isAtEnd) Paint.Align.RIGHT else Paint.Align.LEFT
                    canvas.drawText(resources.say(shape.words), shape.x, shape.y, text)
                }
            }
        }
    }

    /** Made when it is asked for: eight times a second would be too much for whoever listens. */
    override fun onInitializeAccessibilityNodeInfo(info: AccessibilityNodeInfo) {
        super.onInitializeAccessibilityNodeInfo(info)
        info.contentDescription = resources.say(words(picture))
    }

    private fun sp(size: Float) = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, size, resources.displayMetrics)
}

/* What rows of nodes add to the scores of a graph attention layer: a product for each head. */
#include "graph.h"
#include "kernels.h"

/* Four heads from h on of all rows; the last one stands in for those beyond it. */
static void four_heads(const ByHead *x, const ByHead *a, isize h, const ByEdge *out) {
    isize width = x->width;
    const real *own[4];
    isize at[4];
    for (int r = 0; r < 4; r++) {
        isize head = min_size(h + r, x->heads - 1);
        own[r] = row_at(a, head, 0), at[r] = head * x->head_step;
    }
    for (isize i = 0; i < x->nodes; i++) {
        const real *row = row_at(x, i, 0);
        v4 sum[4];
        for (int r = 0; r < 4; r++) sum[r] = splat(0);
        isize k = 0;
        for (; k + 4 <= width; k += 4)
            for (int r = 0; r < 4; r++)
                sum[r] = madd(LOAD(row + at[r] + k), LOAD(own[r] + k), sum[r]);
        for (; k < width; k++)
            for (int r = 0; r < 4; r++) sum[r][0] += row[at[r] + k] * own[r][k];
        store_heads(hsum4(sum[0], sum[1], sum[2], sum[3]), x->heads - h,
                    out->data + i * out->edge_step + h);
    }
}

Status KERNEL(head_dots)(Call *call) {
    const Array *array = call->array;
    ByHead x = by_head(&array[head_dots_x]), a = by_head(&array[head_dots_a]);
    ByEdge out = by_edge(&array[head_dots_out]);
    if (a.nodes != x.heads || a.width != x.width || !edges_fit(&out, x.nodes, x.heads))
        return wrong(call, "head_dots: shapes differ");
    void *state = work_begin((double)x.nodes * (double)(x.heads * x.width));
    for (isize h = 0; h < x.heads; h += 4) four_heads(&x, &a, h, &out);
    work_end(state);
    return DONE;
}

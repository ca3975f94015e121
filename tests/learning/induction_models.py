"""Small tasks and models that the tests of induction heads share."""

from __future__ import annotations

import torch

from axonal.learning.induction import AttentionOnlyTransformer, FewShotTask, gaussian_features


def small_task(classes: int = 8, dim: int = 16, **options) -> FewShotTask:
    features = gaussian_features(classes + 6, dim, seed=3)
    return FewShotTask(features, n_classes=classes, **options)


def small_model(seeds=(0, 1), dim: int = 16, **options) -> AttentionOnlyTransformer:
    settings = {"d_model": 16, "n_heads": 4, **options}
    return AttentionOnlyTransformer(dim, seeds=seeds, **settings)


def hand_built(n_labels: int = 5, classes: int = 8) -> tuple[AttentionOnlyTransformer, FewShotTask]:
    """An induction head written by hand: one previous-token head, one induction head, no norms.

    The stream has three parts: a class (one-hot), a label (one-hot), and the class that a
    previous-token head copied. Layer 1's head 0 attends to the token before by rotary positions
    alone; layer 2's head 0 matches the query's class with the copied one and moves the label.
    """
    width = 32
    features = torch.eye(classes)[:, None]
    task = FewShotTask(features + 0.0, n_labels, classes, unseen=0)
    model = AttentionOnlyTransformer(
        classes, n_labels, d_model=2 * width, n_heads=2, seeds=(0,), norm=False
    )
    where_class, where_label, where_copied, constant = 0, 10, 16, 31
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.example_embedding.weight[0, :, where_class : where_class + classes] = torch.eye(
            classes
        )
        model.example_embedding.bias[0, 0, constant] = 1
        model.label_embedding[0, :, where_label : where_label + n_labels] = torch.eye(n_labels)
        model.label_embedding[0, :, constant] = 1
        first, second = model.layers
        # Query at i is rotated by i, key at j by j: equal vectors score cos(i - j - 1) when the
        # query's is turned back by one position. All frequencies are used at once.
        pairs = width // 2
        speed = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        first.key.weight[0, constant, 0:width:2] = 1
        first.query.weight[0, constant, 0:width:2] = 400 * torch.cos(-speed).float()
        first.query.weight[0, constant, 1:width:2] = 400 * torch.sin(-speed).float()
        first.value.weight[0, :classes, :classes] = torch.eye(classes)
        first.output.weight[0, :classes, where_copied : where_copied + classes] = torch.eye(classes)
        # The slowest frequencies hardly turn: the match sits there.
        slow = torch.arange(2 * (pairs - classes), width, 2)
        second.query.weight[0, :classes, slow] = 400 * torch.eye(classes)
        second.key.weight[0, where_copied : where_copied + classes, slow] = torch.eye(classes)
        labels = slice(where_label, where_label + n_labels)
        # The first token copies itself: only label tokens may be attended to.
        second.query.weight[0, constant, width - 1] = 400
        second.key.weight[0, labels, width - 1] = 1
        second.value.weight[0, labels, :n_labels] = torch.eye(n_labels)
        second.output.weight[0, :n_labels, labels] = 20 * torch.eye(n_labels)
        model.unembedding.weight[0, labels, :] = torch.eye(n_labels)
    return model, task

"""What the paper measures of runs, images and draws: baselines, audits, samplers, claims."""

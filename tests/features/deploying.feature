Feature: Deploying and promoting models
  A team declares in Git what serves where, sees what a change will do, and applies it.

  Scenario: First deployment
    Given a new repository
    And model version fraud:1
    And fraud:1 is declared to serve in dev
    When I plan dev
    Then the plan creates "model/fraud:1, environment/plain:1, endpoint/fraud"
    And nothing was changed
    When I apply dev
    Then it ends with exit code 0
    And dev serves fraud:1
    And the plan of dev is empty

  Scenario: Promotion by one line
    Given fraud:1 serves in dev and in prod
    And fraud:2 serves in dev
    When I change one line of prod to fraud:2 and commit it
    Then the plan of prod updates only the endpoint
    When I apply prod
    Then prod serves fraud:2
    And the last record of prod says who did it and from which commit

  Scenario: Production is applied from clean commits of its branch only
    Given fraud:1 serves in dev and in prod
    And model version fraud:2
    When I change one line of prod to fraud:2 and do not commit it
    And I apply prod
    Then it is refused with exit code 5 because "The work tree has changes"
    And prod serves fraud:1

  Scenario: An old job cannot roll production back
    Given fraud:1 serves in dev and in prod
    And fraud:2 serves in prod
    When a job applies the commit before to prod
    Then it is refused with exit code 4 because "An older revision"
    And prod serves fraud:2

  Scenario: Waiting for a model
    Given fraud:1 serves in dev
    And fraud:2 is declared to serve in dev
    When I apply dev
    Then it ends with exit code 6
    And the plan of dev waits for "model/fraud:2"
    And dev serves fraud:1
    When model version fraud:2 arrives
    And I apply dev
    Then it ends with exit code 0
    And dev serves fraud:2
